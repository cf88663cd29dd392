/**
 * Is the GPU really there? ONNX Runtime computes on the processor what a provider cannot take, without a word.
 * @module
 */
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { CodedError } from '../../shared/errors.ts'

export type Provider = 'cuda' | 'cpu'

/** y = x + x, two numbers: 65 bytes of ONNX. */
const DOUBLING = 'CAgSADo1Cg4KAXgKAXgSAXkiA0FkZBIBZ1oPCgF4EgoKCAgBEgQKAggCYg8KAXkSCgoICAESBAoCCAJCBAoAEBE='

/** @throws CodedError `field-invalid` for any other: a mistyped one must not turn into the processor */
export function providerOf(name: string | undefined): Provider {
  if (name === undefined || name === '' || name === 'cuda') return 'cuda'
  if (name === 'cpu') return name
  throw new CodedError('field-invalid', { field: 'EXECUTION_PROVIDER' })
}

/**
 * Computes something on the GPU, and nowhere else.
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
