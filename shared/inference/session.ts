/**
 * ONNX Runtime sessions for files of a bundle, and the encoder's input tensors. Shared by screening and drawing.
 * @module
 */
import { availableParallelism } from 'node:os'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { LEADS } from '../domain/leads.ts'
import type { Person } from '../domain/recording.ts'
import { CodedError } from '../errors.ts'
import { CLEAN_STEPS, type CleanWindow } from '../waveform/clean-codec.ts'
import { type Bundle, verifyFile } from './bundle.ts'

/** Idle threads of an operator sleep: by default they spin, which costs 40 ms of CPU a window and slows whatever else runs. */
const WITHOUT_SPINNING = { session: { intra_op: { allow_spinning: '0' } } }

export interface SessionOptions {
  /** Threads of one operator; by default the number of processors. */
  readonly threads?: number | undefined
  readonly provider?: 'cpu' | 'cuda' | undefined
}

/**
 * Loads one of the bundle's models after checking its bytes and tensors against the manifest.
 * @throws CodedError `bundle-corrupt`, `bundle-mismatch`, `provider-inactive`
 */
export async function openSession(
  bundle: Bundle,
  file: string,
  { threads = availableParallelism(), provider = 'cpu' }: SessionOptions,
): Promise<InferenceSession> {
  const path = await verifyFile(bundle, file)
  const options = {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    extra: WITHOUT_SPINNING,
  }
  const session = await InferenceSession.create(path, options).catch((cause: unknown) => {
    if (provider !== 'cpu') throw new CodedError('provider-inactive', { field: 'provider', provider }, { cause })
    throw new CodedError('bundle-corrupt', { field: file }, { cause })
  })
  checkTensors(bundle, file, session)
  return session
}

/**
 * Checks every file of a bundle: its bytes and, for ONNX files, its tensors against the manifest. Used by `models verify`.
 * @throws CodedError `bundle-corrupt`, `bundle-mismatch`
 */
export async function verifyBundle(bundle: Bundle): Promise<void> {
  for (const { path: name } of bundle.manifest.files) {
    if (name.endsWith('.onnx')) {
      const session = await openSession(bundle, name, {})
      await session.release()
    } else await verifyFile(bundle, name)
  }
}

/** Input tensors of the encoder (alone or fused with its heads) for one window. */
export function encoderInputs(window: CleanWindow, person: Person): Record<string, Tensor> {
  return variantInputs(1, samplesOf(window), window, person)
}

/** A window's samples as the encoder gets them, [12][samples] lead-major. */
export function samplesOf({ codes }: CleanWindow): Float32Array {
  const samples = new Float32Array(codes.length)
  for (let i = 0; i < samples.length; i++) samples[i] = codes[i]! / CLEAN_STEPS
  return samples
}

/**
 * Input tensors for several variants of one window that differ only in their samples.
 * @param ecg [count][12][samples]
 */
export function variantInputs(
  count: number,
  ecg: Float32Array,
  { amplitude, leadMask }: Pick<CleanWindow, 'amplitude' | 'leadMask'>,
  person: Person,
): Record<string, Tensor> {
  const tensor = (of: ArrayLike<number>, ...shape: readonly number[]) => {
    const data = new Float32Array(count * of.length)
    for (let i = 0; i < count; i++) data.set(of, i * of.length)
    return new Tensor('float32', data, [count, ...shape])
  }
  const values = [sexCode(person), person.ageYears, person.heightCm, person.weightKg]
  return {
    ecg: new Tensor('float32', ecg, [count, LEADS.length, ecg.length / count / LEADS.length]),
    amplitude: tensor(amplitude, LEADS.length, 2),
    lead_mask: tensor(leadMask, LEADS.length),
    person: tensor(
      values.map((value) => value ?? 0),
      values.length,
    ),
    person_mask: tensor(
      values.map((value) => (value === undefined ? 0 : 1)),
      values.length,
    ),
  }
}

/**
 * The values of one output.
 * @throws CodedError `bundle-mismatch` when it is missing or not float32
 */
export function numbers(outputs: InferenceSession.OnnxValueMapType, name: string): Float32Array {
  const data = outputs[name]?.data
  if (data instanceof Float32Array) return data
  throw new CodedError('bundle-mismatch', { field: name })
}

function checkTensors({ manifest }: Bundle, file: string, session: InferenceSession): void {
  const expected = manifest.tensors[file]
  if (expected === undefined) throw new CodedError('bundle-mismatch', { field: `tensors.${file}` })
  for (const [side, metadata] of [
    ['inputs', session.inputMetadata],
    ['outputs', session.outputMetadata],
  ] as const) {
    const actual = metadata.map((tensor) =>
      tensor.isTensor ? `${tensor.name} ${tensor.type} ${tensor.shape.map(sizeOf).join('×')}` : tensor.name,
    )
    const stated = expected[side].map(({ name, type, shape }) => `${name} ${type} ${shape.map(sizeOf).join('×')}`)
    if (actual.join() !== stated.join()) throw new CodedError('bundle-mismatch', { field: `tensors.${file}.${side}` })
  }
}

/** A fixed size as it is; every free size as N, whatever its name. */
const sizeOf = (size: number | string) => (typeof size === 'number' ? size : 'N')

const sexCode = ({ sex }: Person) => (sex === undefined ? undefined : sex === 'female' ? 1 : 0)
