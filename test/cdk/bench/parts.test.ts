import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Parts } from '../../../cdk/bench/parts.ts'
import { FREE_PORTS } from '../../../cdk/bench/process.ts'
import { CodedError } from '../../../shared/errors.ts'

describe('the parts of a benchmark', () => {
  it('keep their figures when another part fails, which is recorded with its reason', async () => {
    const said: string[] = []
    const parts = new Parts((line) => said.push(line))

    const chain = await parts.run('signal chain', () => ({ windowsPerSecond: 300 }))
    const stream = await parts.run('live devices', () => Promise.reject(new Error('the local stack ended')))
    const bundle = await parts.run('cines', () => {
      throw new CodedError('bundle-missing', { folder: '/model', field: 'manifest.json' })
    })
    const cost = await parts.from('cost', { chain, stream, bundle }, () => 9)
    const share = await parts.from('share', { chain }, ({ chain: { windowsPerSecond } }) => windowsPerSecond / 100)

    expect([chain, stream, bundle, cost, share]).toEqual([
      { windowsPerSecond: 300 },
      undefined,
      undefined,
      undefined,
      3,
    ])
    expect(parts.failed).toEqual([
      { part: 'live devices', code: 'internal', message: 'the local stack ended' },
      { part: 'cines', code: 'bundle-missing', message: expect.stringContaining('/model has no manifest.json') },
      { part: 'cost', code: 'internal', message: 'it needs the figures of stream and bundle' },
    ])
    expect(said).toContain('live devices failed: the local stack ended [internal]')
  })
})

describe('the stack of a benchmark', () => {
  it('uses free ports only, so that it runs beside another stack', () => {
    const source = readFileSync(join(import.meta.dirname, '../../../cdk/local/main.ts'), 'utf8')
    const options = [...source.matchAll(/'(--(?:[a-z]{1,9}-)?port) <port>'/g)].map(([, option]) => option)

    expect(options.length).toBeGreaterThan(2)
    for (const option of options) expect(FREE_PORTS.join(' ')).toContain(`${option} 0`)
  })
})
