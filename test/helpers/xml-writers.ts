/**
 * Writes recordings in the XML formats, for tests: our own small files, because real ones may not be shipped.
 * @module
 */
import { crc32 } from 'node:zlib'
import { LIMB_LEADS } from '../../shared/domain/leads.ts'
import type { RecordedLead, Recording } from '../../shared/domain/recording.ts'
import type { SourceFile } from '../../streams/formats/format.ts'

const file = (name: string, text: string): SourceFile => ({ name, bytes: Buffer.from(text) })

export interface XmlFacts {
  /** Elements in the place of the person's. */
  readonly person?: string
  /** As the format writes it. */
  readonly startedAt?: string
}

/** An HL7 aECG with one rhythm series. */
export function writeAecg({ rateHz, leads }: Recording, facts: XmlFacts = {}): SourceFile {
  const { person = '<administrativeGenderCode code="F"/>', startedAt = '20240229101500.250+0200' } = facts
  const sequences = leads.map(
    ({ name, gainUv, samples }) => `<component><sequence><code code="MDC_ECG_LEAD_${name.toUpperCase()}"/>
<value xsi:type="SLIST_PQ"><origin value="0" unit="uV"/><scale value="${gainUv}" unit="uV"/>
<digits>${samples.join(' ')}</digits></value></sequence></component>`,
  )
  return file(
    'ecg.xml',
    `<?xml version="1.0" encoding="UTF-8"?>
<AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<componentOf><timepointEvent><componentOf><subjectAssignment><subject><trialSubject>
<subjectDemographicPerson>${person}</subjectDemographicPerson>
</trialSubject></subject></subjectAssignment></componentOf></timepointEvent></componentOf>
<component><series><code code="RHYTHM"/><component><sequenceSet>
<component><sequence><code code="TIME_ABSOLUTE"/><value xsi:type="GLIST_TS"><head value="${startedAt}"/>
<increment value="${1 / rateHz}" unit="s"/></value></sequence></component>
${sequences.join('\n')}
</sequenceSet></component></series></component></AnnotatedECG>
`,
  )
}

/** A GE MUSE file: the median beat first, then the rhythm. */
export function writeMuse({ rateHz, leads }: Recording, facts: XmlFacts = {}): SourceFile {
  const { person = '<PatientAge>71</PatientAge><AgeUnits>YEARS</AgeUnits><Gender>FEMALE</Gender>' } = facts
  const { startedAt = '<AcquisitionTime>11:10:04</AcquisitionTime><AcquisitionDate>01-04-2010</AcquisitionDate>' } =
    facts
  const median = leads.map((lead) => ({ ...lead, samples: lead.samples.subarray(0, 10) }))
  return file(
    'muse.xml',
    `<?xml version="1.0" encoding="ISO-8859-1"?>
<!DOCTYPE RestingECG SYSTEM "restecg.dtd">
<RestingECG><PatientDemographics>${person}</PatientDemographics><TestDemographics>${startedAt}</TestDemographics>
${museWaveform('Median', rateHz, median)}
${museWaveform('Rhythm', rateHz, leads)}
</RestingECG>
`,
  )
}

function museWaveform(type: string, rateHz: number, leads: readonly RecordedLead[]): string {
  const data = leads.map(({ name, gainUv, samples }) => {
    const bytes = Buffer.from(Int16Array.from(samples).buffer)
    return `<LeadData><LeadSampleCountTotal>${samples.length}</LeadSampleCountTotal>
<LeadAmplitudeUnitsPerBit>${gainUv}</LeadAmplitudeUnitsPerBit><LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits>
<LeadID>${name}</LeadID><LeadSampleSize>2</LeadSampleSize><LeadDataCRC32>${crc32(bytes)}</LeadDataCRC32>
<WaveFormData>${wrapped(bytes)}</WaveFormData></LeadData>`
  })
  return `<Waveform><WaveformType>${type}</WaveformType><SampleType>CONTINUOUS_SAMPLES</SampleType>
<SampleBase>${rateHz}</SampleBase><SampleExponent>0</SampleExponent>${data.join('\n')}</Waveform>`
}

export type SierraCoding = 'xli' | 'base64' | 'plain'

/** A Philips file, version 1.04 unless `version` is 1.03. The leads begin with the six limb leads and have one gain. */
export function writeSierra(
  { rateHz, leads }: Recording,
  facts: XmlFacts & { readonly coding?: SierraCoding; readonly version?: '1.03' | '1.04' } = {},
): SourceFile {
  const { coding = 'xli', version = '1.04', startedAt = 'date="2020-03-01" time="10:15:30"' } = facts
  const { person = '<age defaultage="50"><dateofbirth>1980-06-15</dateofbirth></age><sex>Male</sex>' } = facts
  const channels = leads.map(({ samples }) => samples)
  const text = {
    xli: () => wrapped(encodeXli(limbResiduals(channels))),
    base64: () => wrapped(Buffer.concat(channels.map((samples) => Buffer.from(Int16Array.from(samples).buffer)))),
    plain: () => channels.map((samples) => samples.join(' ')).join('\n'),
  }[coding]()
  const encoding = coding === 'plain' ? 'Plain' : 'Base64'
  const durationMs = (1000 * channels[0]!.length) / rateHz
  const attributes =
    version === '1.03'
      ? `compressflag="${coding === 'xli' ? 'True' : 'False'}" compressmethod="XLI" nbitspersample="16"`
      : `${coding === 'xli' ? 'compression="XLI"' : ''} numberofleads="${leads.length}" leadlabels="${leads.map(({ name }) => name).join(' ')}" samplespersecond="${rateHz}" resolution="${leads[0]!.gainUv}" signaloffset="0" signalsigned="True" bitspersample="16"`
  return file(
    'philips.xml',
    `<?xml version="1.0" encoding="UTF-8"?>
<restingecgdata xmlns="http://www3.medical.philips.com"><documentinfo><documentversion>${version}</documentversion></documentinfo>
<dataacquisition ${startedAt}><signalcharacteristics><samplingrate>${rateHz}</samplingrate>
<signalresolution>${leads[0]!.gainUv}</signalresolution><acquisitiontype>STD-12</acquisitiontype>
<numberchannelsallocated>${leads.length}</numberchannelsallocated></signalcharacteristics></dataacquisition>
<patient><generalpatientdata>${person}</generalpatientdata></patient>
<waveforms><parsedwaveforms dataencoding="${encoding}" durationperchannel="${durationMs}" ${attributes}>${text}</parsedwaveforms></waveforms>
</restingecgdata>
`,
  )
}

/** What the calculated limb leads are off by, in place of them; leads without the standard six are left alone. */
function limbResiduals(channels: readonly Int32Array[]): Int32Array[] {
  if (channels.length < LIMB_LEADS.length) return [...channels]
  const [one, two, three, right, left, foot, ...rest] = channels
  const half = (value: number) => Math.trunc(value / 2)
  return [
    one!,
    two!,
    three!.map((value, i) => two![i]! - one![i]! - value),
    right!.map((value, i) => -half(one![i]! + two![i]!) - value),
    left!.map((value, i) => half(one![i]! - three![i]!) - value),
    foot!.map((value, i) => half(two![i]! + three![i]!) - value),
    ...rest,
  ]
}

function encodeXli(channels: readonly Int32Array[]): Buffer {
  return Buffer.concat(
    channels.map((samples) => {
      const count = samples.length
      const at = (i: number) => samples[i] ?? 0
      // The second difference of a sample is stored one place before it; that of the third, in the header.
      const difference = (i: number) => 2 * at(i - 1) - at(i - 2) - at(i)
      const halves = Buffer.alloc(2 * count)
      for (let i = 0; i < count; i++) {
        const value = i < 2 ? at(i) : i + 1 < count ? difference(i + 1) + 64 : 0
        halves[i] = (value >> 8) & 0xff
        halves[count + i] = value & 0xff
      }
      const body = compress(halves)
      const header = Buffer.alloc(8)
      header.writeInt32LE(body.length, 0)
      header.writeInt16LE(1, 4)
      header.writeInt16LE(count > 2 ? difference(2) : 0, 6)
      return Buffer.concat([header, body])
    }),
  )
}

/** LZW with codes of 10 bits; a full table is not reset. */
function compress(bytes: Uint8Array): Buffer {
  const table = new Map<string, number>()
  const codeOf = (text: string) => (text.length === 1 ? text.charCodeAt(0) : table.get(text))
  const codes: number[] = []
  let known = ''
  for (const byte of bytes) {
    const longer = known + String.fromCharCode(byte)
    if (codeOf(longer) !== undefined) {
      known = longer
      continue
    }
    codes.push(codeOf(known)!)
    if (table.size < 1024 - 256) table.set(longer, 256 + table.size)
    known = String.fromCharCode(byte)
  }
  codes.push(codeOf(known)!)
  const bits = codes.map((code) => code.toString(2).padStart(10, '0')).join('')
  return Buffer.from((bits.match(/.{1,8}/g) ?? []).map((octet) => Number.parseInt(octet.padEnd(8, '0'), 2)))
}

const wrapped = (bytes: Buffer) => bytes.toString('base64').replace(/.{1,72}/g, '$&\n')
