/**
 * Writes recordings as EDF, EDF+ and BDF, for tests of the reader.
 * @module
 */
import type { Recording } from '../../shared/domain/recording.ts'
import type { SourceFile } from '../../streams/formats/index.ts'
import { padded } from './bytes.ts'

export interface EdfOptions {
  readonly bits?: 16 | 24
  readonly samplesPerRecord?: number
  /** `EDF+C`, `EDF+D`: with an annotation signal that states the start of each record. */
  readonly variant?: string
  /** Start of a record, s; of record i, i × its duration when left out. */
  readonly onset?: (record: number) => number
  /** Fields of the header in place of the usual: those of the file as text, those of the signals as text for all of them. */
  readonly fields?: Readonly<Record<string, string>>
}

const ANNOTATION_SAMPLES = 16

/** A recording whose samples fit, in records that it fills. */
export function writeEdf(recording: Recording, options: EdfOptions = {}): SourceFile {
  const { bits = 16, samplesPerRecord = 50, variant = '', fields = {} } = options
  const { leads, rateHz } = recording
  const sampleBytes = bits / 8
  const records = leads[0]!.samples.length / samplesPerRecord
  const recordSeconds = samplesPerRecord / rateHz
  const { onset = (record: number) => record * recordSeconds } = options
  const hasAnnotations = variant.includes('+')
  const top = 2 ** (bits - 1)
  const signals = [
    ...leads.map(({ name, gainUv }) => ({ label: `ECG ${name}`, extremeUv: top * gainUv, samples: samplesPerRecord })),
    ...(hasAnnotations ? [{ label: 'EDF Annotations', extremeUv: top, samples: ANNOTATION_SAMPLES }] : []),
  ]
  const file = (name: string, length: number, usual: string) => padded(fields[name] ?? usual, length)
  const each = (name: string, length: number, usual: (signal: (typeof signals)[number]) => string) =>
    Buffer.concat(signals.map((signal) => padded(fields[name] ?? usual(signal), length)))
  const header = Buffer.concat([
    file('version', 8, bits === 24 ? '\xffBIOSEMI' : '0'),
    file('patient', 80, 'X X X X'),
    file('recording', 80, 'Startdate 02-MAR-2024 X X X'),
    file('date', 8, '02.03.24'),
    file('time', 8, '04.05.06'),
    file('headerBytes', 8, String(256 * (signals.length + 1))),
    file('variant', 44, variant),
    file('records', 8, String(records)),
    file('recordSeconds', 8, String(recordSeconds)),
    file('signals', 4, String(signals.length)),
    each('label', 16, ({ label }) => label),
    each('transducer', 80, () => ''),
    each('unit', 8, () => 'uV'),
    each('physicalMin', 8, ({ extremeUv }) => String(-extremeUv)),
    each('physicalMax', 8, ({ extremeUv }) => String(extremeUv - extremeUv / top)),
    each('digitalMin', 8, () => String(-top)),
    each('digitalMax', 8, () => String(top - 1)),
    each('prefilter', 80, () => ''),
    each('samplesPerRecord', 8, ({ samples }) => String(samples)),
    each('reserved', 32, () => ''),
  ])
  const body = Array.from({ length: Math.floor(records) }, (_, record) => [
    ...leads.map(({ samples }) =>
      pack(samples.subarray(record * samplesPerRecord, (record + 1) * samplesPerRecord), sampleBytes),
    ),
    ...(hasAnnotations
      ? [padded(`${onset(record) < 0 ? '' : '+'}${onset(record)}\x14\x14\0`, ANNOTATION_SAMPLES * sampleBytes, '\0')]
      : []),
  ])
  return { name: 'ecg.edf', bytes: Buffer.concat([header, ...body.flat()]) }
}

function pack(samples: Int32Array, sampleBytes: number): Buffer {
  const bytes = Buffer.alloc(samples.length * sampleBytes)
  for (const [i, sample] of samples.entries()) bytes.writeIntLE(sample, i * sampleBytes, sampleBytes)
  return bytes
}
