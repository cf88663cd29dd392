import { existsSync } from 'node:fs'
import { expect, it } from 'vitest'
import { checkProvider, providerOf } from '../../../functions/synthesize/provider.ts'

it('draws on the GPU by default, on the CPU for cpu, and accepts no other value', () => {
  expect([undefined, '', 'cuda', 'cpu'].map(providerOf)).toEqual(['cuda', 'cuda', 'cuda', 'cpu'])
  expect(() => providerOf('CPU')).toThrow('field-invalid: field=EXECUTION_PROVIDER')
})

it.skipIf(existsSync('/dev/nvidia0'))('fails where there is no GPU, rather than fall back', async () => {
  await expect(checkProvider('cuda')).rejects.toMatchObject({ code: 'provider-inactive', kind: { exitCode: 2 } })
  await expect(checkProvider('cpu')).resolves.toBeUndefined()
})
