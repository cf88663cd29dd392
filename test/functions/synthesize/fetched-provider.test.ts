import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { checkFetched, type Recorded } from '../../../functions/synthesize/fetched-provider.ts'
import { temporaryFolder } from '../../cdk/helpers/assembly.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const FILE = 'libonnxruntime_providers_cuda.so'
const SUM = createHash('sha256').update('provider').digest('hex')

describe('a fetched CUDA provider', () => {
  let folder: string
  beforeEach(() => {
    folder = temporaryFolder()
    writeFileSync(join(folder, FILE), 'provider')
  })
  const recorded = (sum: string | null): Recorded => ({ onnxruntime: '1.2.3', sha256: { [FILE]: sum } })

  it('passes in silence where it is what was recorded', () => {
    expect(checkFetched(recorded(SUM), folder, '1.2.3')).toEqual([])
  })

  it('ends the build where it is something else', () => {
    expect(() => checkFetched(recorded('0'.repeat(64)), folder, '1.2.3')).toThrow(`${FILE} has the sha256 ${SUM}`)
  })

  it('ends the build where another version of onnxruntime fetched it', () => {
    expect(() => checkFetched(recorded(SUM), folder, '1.3.0')).toThrow('record its files')
  })

  it('that nobody has recorded yet says what to record', () => {
    expect(checkFetched(recorded(null), folder, '1.2.3')).toEqual([expect.stringContaining(`"${FILE}": "${SUM}"`)])
  })

  it('is recorded for the version that is installed', () => {
    const read = (file: string) => JSON.parse(readFileSync(join(ROOT, file), 'utf8'))
    const { packages } = read('package-lock.json')

    expect(read('functions/synthesize/cuda-provider.json').onnxruntime).toBe(
      packages['node_modules/onnxruntime-node'].version,
    )
  })
})
