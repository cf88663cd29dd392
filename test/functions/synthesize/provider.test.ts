import { existsSync } from 'node:fs'
import { expect, it } from 'vitest'
import { checkProvider, providerOf } from '../../../functions/synthesize/provider.ts'

it('the provider defaults to the GPU, can be the CPU, and accepts no other value', () => {
  expect([undefined, '', 'cuda', 'cpu'].map(providerOf)).toEqual(['cuda', 'cuda', 'cuda', 'cpu'])
  expect(() => providerOf('CPU')).toThrow('field-invalid: field=EXECUTION_PROVIDER')
})

it.skipIf(existsSync('/dev/nvidia0'))('the GPU provider fails without a GPU rather than fall back', async () => {
  await expect(checkProvider('cuda')).rejects.toMatchObject({ code: 'provider-inactive', kind: { exitCode: 2 } })
  await expect(checkProvider('cpu')).resolves.toBeUndefined()
})
