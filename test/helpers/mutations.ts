/**
 * Damages files of all formats in the ways that occur by accident or by attack, and reports the outcome of reading them.
 * @module
 */
import fc from 'fast-check'
import { checkRecording } from '../../shared/domain/recording.ts'
import { CodedError } from '../../shared/errors.ts'
import type { SourceFile } from '../../streams/formats/format.ts'
import { FORMAT_NAMES, parseRecording } from '../../streams/formats/index.ts'
import { type FormatSample, resealed } from './format-samples.ts'

const KINDS = ['truncate', 'flip', 'byte', 'word', 'digits', 'delete', 'insert', 'repeat', 'splice', 'run'] as const

interface Mutation {
  readonly kind: (typeof KINDS)[number]
  /** Which of the files. */
  readonly file: number
  /** Where: a share of the file, or of its first kilobyte, where headers are. */
  readonly at: number
  readonly isEarly: boolean
  readonly length: number
  readonly value: number
}

/** What lengths, counts and offsets go wrong at. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff]

/** What regular expressions and scanners skip, repeat or look for: a long run of one of these is slow where they do so in more than one way. */
const RUN_CHARACTERS = [
  ' ',
  '\t',
  '\n',
  '\0',
  '0',
  '1',
  '9',
  'a',
  'I',
  '.',
  ',',
  ';',
  ':',
  '-',
  '#',
  '"',
  '<',
  '&',
  '(',
  '[',
  '{',
  '\\',
  '^',
  '|',
]

/** From what a line holds to more than any reader should look at twice. */
const RUN_LENGTHS = [256, 4096, 32_768, 131_072]

/** Mutations that keep the rest of the file in place are more frequent, because they get further. */
const kind = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('flip', 'byte', 'word', 'digits') },
  { weight: 1, arbitrary: fc.constantFrom(...KINDS) },
)

const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind,
  file: fc.nat(3),
  at: fc.noBias(fc.integer({ min: 0, max: 1_000_000 })).map((millionths) => millionths / 1_000_000),
  isEarly: fc.boolean(),
  length: fc.oneof(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 4096 })),
  value: fc.oneof(fc.constantFrom(...EDGES), fc.integer({ min: 0, max: 0xffff_ffff })),
})

/** A damaged file to read. */
export interface Damage {
  readonly mutations: readonly Mutation[]
  /** Whether the format is named by the caller; else it is found by content. */
  readonly isNamed: boolean
  readonly isResealed: boolean
}

export const damage: fc.Arbitrary<Damage> = fc.record({
  mutations: fc.oneof(
    mutation.map((one) => [one]),
    fc.array(mutation, { minLength: 1, maxLength: 4 }),
  ),
  isNamed: fc.boolean(),
  isResealed: fc.boolean(),
})

export interface MutationRun {
  /** The code of the error; undefined for a recording. */
  readonly code: string | undefined
  /** Time on this thread's processor: other processes do not count. */
  readonly cpuMs: number
  /** That time beyond `FREE_CPU_MS`, for each kilobyte of the files. */
  readonly cpuMsPerKb: number
}

/** Overhead of reading even a small file: garbage collection, and code compiled for the first time. */
const FREE_CPU_MS = 100

/**
 * A kilobyte of text takes about .1 ms, and a quadratic expression on a run of 128 kB some 200 ms. A file beyond this is read again, so that one pause
 * of the machine is no finding.
 */
export const MAX_CPU_MS_PER_KB = 5

/**
 * Reads a sample that was damaged.
 * @param donor what is spliced in
 * @throws any error of reading that is not a CodedError; an Error for an invalid recording
 */
export function readDamaged(
  sample: FormatSample,
  donor: Uint8Array,
  { mutations, isNamed, isResealed }: Damage,
): MutationRun {
  const damaged = mutations.reduce((files, each) => mutate(files, donor, each), sample.files)
  const files = isResealed ? damaged.map((file) => resealed(sample.format, file)) : damaged
  const format = isNamed && FORMAT_NAMES.includes(sample.format) ? sample.format : undefined
  const kilobytes = files.reduce((sum, { bytes }) => sum + bytes.length, 0) / 1024
  const perKb = ({ cpuMs }: Omit<MutationRun, 'cpuMsPerKb'>) =>
    Math.max(0, cpuMs - FREE_CPU_MS) / Math.max(1, kilobytes)
  let outcome = read(files, sample, format)
  for (let tries = 0; tries < 2 && perKb(outcome) > MAX_CPU_MS_PER_KB; tries++) outcome = read(files, sample, format)
  return { ...outcome, cpuMsPerKb: perKb(outcome) }
}

function read(files: readonly SourceFile[], sample: FormatSample, format: string | undefined) {
  const before = process.threadCpuUsage()
  let code: string | undefined
  try {
    const recording = parseRecording(files, { ...sample.options, format })
    checkRecording(recording)
    if (recording.startedAt !== undefined && Number.isNaN(Date.parse(recording.startedAt))) throw new Error('no start')
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    if (error.code === 'internal' || error.code === 'unavailable') throw error
    code = error.code
  }
  const { user, system } = process.threadCpuUsage(before)
  return { code, cpuMs: (user + system) / 1000 }
}

function mutate(files: readonly SourceFile[], donor: Uint8Array, mutation: Mutation): SourceFile[] {
  return files.map((file, index) =>
    index === mutation.file % files.length
      ? { name: file.name, bytes: mutateBytes(file.bytes, donor, mutation) }
      : file,
  )
}

function mutateBytes(bytes: Uint8Array, donor: Uint8Array, mutation: Mutation): Uint8Array {
  const { kind, isEarly, length, value } = mutation
  const at = Math.floor(mutation.at * (isEarly ? Math.min(bytes.length, 1024) : bytes.length))
  const cut = (until: number, ...between: readonly Uint8Array[]) =>
    Buffer.concat([bytes.subarray(0, at), ...between, bytes.subarray(until)])
  const word = Buffer.alloc(4)
  word.writeUInt32LE(value)
  switch (kind) {
    case 'truncate':
      return bytes.subarray(0, at)
    case 'flip': {
      const copy = Buffer.from(bytes)
      if (at < copy.length) copy[at] = copy[at]! ^ (1 << (value & 7))
      return copy
    }
    case 'byte':
      return cut(at + 1, word.subarray(0, 1))
    case 'word':
      return cut(at + 4, length % 2 === 0 ? word : word.swap32())
    case 'digits':
      return changeNumber(bytes, at, value)
    case 'delete':
      return cut(at + length)
    case 'insert':
      return cut(at, Buffer.alloc(length, word))
    case 'repeat':
      return cut(at, bytes.subarray(at, at + length))
    case 'splice': {
      const from = Math.floor((value / 0x1_0000_0000) * donor.length)
      return cut(at + length, donor.subarray(from, from + length))
    }
    case 'run': {
      const character = RUN_CHARACTERS[value % RUN_CHARACTERS.length]!
      return cut(at, Buffer.alloc(RUN_LENGTHS[length % RUN_LENGTHS.length]!, character))
    }
  }
}

/** The next number that is written in a text, made another: text formats have their lengths and counts so. */
function changeNumber(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const isDigit = (byte: number | undefined) => byte !== undefined && byte >= 0x30 && byte <= 0x39
  let start = at
  while (start < bytes.length && !isDigit(bytes[start])) start++
  let end = start
  while (isDigit(bytes[end])) end++
  return Buffer.concat([bytes.subarray(0, start), Buffer.from(String(value)), bytes.subarray(end)])
}
