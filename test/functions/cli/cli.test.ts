import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DEMO, cli as run } from '../../helpers/cli.ts'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cardiacnets-cli-'))
})

afterAll(() => rm(folder, { recursive: true }))

const cli = (...args: string[]) => run(folder, ...args)

describe('cardiacnets screen', () => {
  it('prints one JSON document and nothing else', async () => {
    const { code, stdout, stderr } = await cli('screen', DEMO, '--json')

    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      status: 'screened',
      quality: { verdict: 'acceptable' },
      measurements: { method: expect.any(String), prMs: expect.any(Number), qrsMs: expect.any(Number) },
    })
    expect(stderr).toBe('')
  })

  it('prints the measurements in one line', async () => {
    const { stdout } = await cli('screen', DEMO)

    expect(stdout).toMatch(/measured: PR \d+ ms, QRS \d+ ms, QT \d+ ms, QTc \d+ ms \(Bazett\).* axis -?\d+°/)
  })

  it('prints an array in input order, with an error object for each failed file', async () => {
    const bad = join(folder, 'bad.csv')
    await writeFile(bad, 'I,II,V7\n1,2,3\n')

    const { code, stdout } = await cli('screen', DEMO, bad, DEMO, '--json')

    expect(code).toBe(2)
    expect(JSON.parse(stdout)).toMatchObject([
      { file: DEMO, status: 'screened' },
      { file: bad, error: { code: expect.any(String) } },
      { file: DEMO, status: 'screened' },
    ])
  })

  it('exits with 3 and names the reason when the quality gate refuses', async () => {
    const short = join(folder, 'short.csv')
    const rows = Array.from({ length: 500 }, (_, i) => `${Math.sin(i / 10)},${Math.cos(i / 10)}`)
    await writeFile(short, `# rate: 500\n# unit: mV\nI,II\n${rows.join('\n')}\n`)

    const { code, stdout } = await cli('screen', short)

    expect(code).toBe(3)
    expect(stdout).toContain('too-short')
  })

  it('exits with 2 and one line for a missing file', async () => {
    const { code, stdout, stderr } = await cli('screen', join(folder, 'nothing.hea'))

    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toContain('file-not-found')
  })
})

describe('cardiacnets', () => {
  it.each([
    [['--help'], 0],
    [['screen', '--help'], 0],
    [['nonsense'], 2],
    [['screen'], 2],
    [['stream', DEMO], 2],
    [['redrive', 'nonsense'], 2],
    [['redrive', 'intake', '--outputs', 'nowhere.json'], 2],
    [['models', 'verify', 'nowhere'], 2],
    [['models', 'use'], 2],
    [['evaluate'], 2],
  ])('exits %j with %i', async (args, expected) => {
    const { code } = await cli(...args)

    expect(code).toBe(expected)
  })

  it('verifies the shipped bundle', async () => {
    const { code, stdout } = await cli('models', 'verify')

    expect(code).toBe(0)
    expect(stdout).toContain('match')
  })

  it('reports an unreachable broker', async () => {
    const { code, stderr } = await cli('stream', DEMO, '--to', 'mqtt://127.0.0.1:1', '--timeout', '1')

    expect(code).toBe(4)
    expect(stderr).toContain('A service cannot be reached: --to at 127.0.0.1:1 (ECONNREFUSED).')
    expect(stderr).toContain('unavailable')
  })
})
