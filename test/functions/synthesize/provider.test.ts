import { existsSync } from 'node:fs'
import { expect, it } from 'vitest'
import { checkProvider, providerOf } from '../../../functions/synthesize/provider.ts'

it('draws on the GPU unless it is told to use the processor, and takes no other word', () => {
  expect([undefined, '', 'cuda', 'cpu'].map(providerOf)).toEqual(['cuda', 'cuda', 'cuda', 'cpu'])
  expect(() => providerOf('CPU')).toThrow('field-invalid: field=EXECUTION_PROVIDER')
})

it.skipIf(existsSync('/dev/nvidia0'))('fails where there is no GPU, rather than fall back', async () => {
  await expect(checkProvider('cuda')).rejects.toMatchObject({ code: 'provider-inactive', kind: { exitCode: 2 } })
  await expect(checkProvider('cpu')).resolves.toBeUndefined()
})
