/**
 * Checks that the GPU is really used. ONNX Runtime silently computes on the CPU what a provider does not support.
 * @module
 */
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { CodedError } from '../../shared/errors.ts'

export type Provider = 'cuda' | 'cpu'

/** y = x + x, two numbers: 65 bytes of ONNX. */
const DOUBLING = 'CAgSADo1Cg4KAXgKAXgSAXkiA0FkZBIBZ1oPCgF4EgoKCAgBEgQKAggCYg8KAXkSCgoICAESBAoCCAJCBAoAEBE='

/**
 * Parses the name of a provider.
 * @throws CodedError `field-invalid` for an unknown name, because a typing error must not select the CPU
 */
export function providerOf(name: string | undefined): Provider {
  if (name === undefined || name === '' || name === 'cuda') return 'cuda'
  if (name === 'cpu') return name
  throw new CodedError('field-invalid', { field: 'EXECUTION_PROVIDER' })
}

/**
 * Runs a small model on the GPU only.
 * @throws CodedError `provider-inactive`
 */
export async function checkProvider(provider: Provider): Promise<void> {
  if (provider === 'cpu') return
  try {
    const session = await InferenceSession.create(Buffer.from(DOUBLING, 'base64'), {
      executionProviders: [provider],
      extra: { session: { disable_cpu_ep_fallback: '1' } },
    })
    const { y } = await session.run({ x: new Tensor('float32', [1, 2], [2]) })
    await session.release()
    if (String(y?.data) !== '2,4') throw new Error('a wrong sum')
  } catch (cause) {
    throw new CodedError('provider-inactive', { field: 'EXECUTION_PROVIDER', provider }, { cause })
  }
}
