/**
 * Facts in the lines before a CSV file's data: `rate: 500`, `Sample Rate,512 hertz`, `Unit,µV`, with or without `#`.
 * @module
 */
import type { Person } from '../../../shared/domain/recording.ts'
import { ageAt, ageInYears, plausiblePerson, sexOfText } from '../person.ts'
import { dateOfText, startOfText } from '../time.ts'
import { splitLine } from './cells.ts'

export type FactName = 'rate' | 'unit' | 'gain' | 'lead' | 'start' | 'sex' | 'age' | 'birth'

/** In English, and as written by Apple Health and spreadsheets in other languages; without accents. Text in brackets is removed first. */
const NAMES: Readonly<Record<FactName, readonly string[]>> = {
  rate: [
    ...['rate', 'sampling rate', 'sample rate', 'sampling frequency', 'sample frequency', 'frequency', 'fs'],
    ...['samplerate', 'samplingrate', 'samplingfrequency', 'samples per second', 'sampling_rate', 'sample_rate'],
    ...['abtastrate', 'abtastfrequenz', "frequence d'echantillonnage", 'frecuencia de muestreo', 'tasa de muestreo'],
    ...['frequenza di campionamento', 'frequencia de amostragem', 'taxa de amostragem', 'bemonsteringsfrequentie'],
    ...[
      'samplefrequentie',
      'samplingsfrekvens',
      '采样率',
      '采样频率',
      '取樣率',
      'サンプルレート',
      'サンプリング周波数',
      '샘플률',
    ],
  ],
  unit: [
    'unit',
    'units',
    'einheit',
    'unite',
    'unidad',
    'unidade',
    'unita',
    'eenheid',
    'enhet',
    '单位',
    '單位',
    '単位',
    '단위',
  ],
  gain: ['gain'],
  lead: [
    ...['lead', 'leads', 'ableitung', 'derivation', 'derivacion', 'derivacao', 'derivazione', 'afleiding', 'avledning'],
    ...['导联', '導程', '誘導', '유도'],
  ],
  start: [
    ...['recorded date', 'recording date', 'date recorded', 'start', 'start time', 'recorded', 'aufgezeichnet am'],
    ...["date d'enregistrement", 'fecha de registro', 'data di registrazione', '记录日期'],
  ],
  sex: ['sex', 'gender', 'geschlecht', 'sexe', 'sexo', 'sesso', '性别'],
  age: ['age', 'alter', 'edad', 'eta', 'idade', '年龄'],
  birth: [
    ...['date of birth', 'birth date', 'birthdate', 'geburtsdatum', 'date de naissance', 'fecha de nacimiento'],
    ...['data di nascita', 'data de nascimento', '出生日期'],
  ],
}

const BY_NAME: ReadonlyMap<string, FactName> = new Map(
  // as: Object.entries forgets the keys' type
  (Object.entries(NAMES) as [FactName, readonly string[]][]).flatMap(([fact, names]) =>
    names.map((name) => [withoutAccents(name), fact] as const),
  ),
)

/** Longest name or value of a fact. */
const MAX_FACT = 100

/** The fact in a line: a known name, a colon, equals sign or delimiter, and one value. */
export function factOf(line: string, delimiter: string, quote: string): { name: FactName; value: string } | undefined {
  const separators = [':', '=', ',', ';', '\t', ...(delimiter === ' ' ? [] : [delimiter])]
  const places = separators.map((separator) => line.indexOf(separator)).filter((at) => at > 0)
  const at = Math.min(...places)
  if (places.length === 0 || at > MAX_FACT) return undefined
  const fact = BY_NAME.get(nameOf(line.slice(0, at), quote))
  if (fact === undefined) return undefined
  const separator = line[at]!
  const rest = line.slice(at + 1, at + 1 + 2 * MAX_FACT).trim()
  const cells = separator === ':' || separator === '=' ? [rest] : splitLine(rest, separator, quote)
  const [value = '', ...more] = cells
  // With more values the line is a header row.
  if (more.some((cell) => cell !== '')) return undefined
  return { name: fact, value: trimmed(value, [quote, ',', ';', '\t', ' ']) }
}

function nameOf(text: string, quote: string): string {
  const bracket = text.indexOf('(')
  return withoutAccents(trimmed(bracket < 0 ? text : text.slice(0, bracket), [quote, ' ', '\t', '#'])).replace(
    /\s+/g,
    ' ',
  )
}

/** Lower case, with one kind of apostrophe. */
function withoutAccents(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .replace(/\u2019/g, "'")
    .toLowerCase()
}

function trimmed(text: string, what: readonly string[]): string {
  let [start, end] = [0, text.length]
  while (start < end && what.includes(text[start]!)) start++
  while (end > start && what.includes(text[end - 1]!)) end--
  return text.slice(start, end)
}

type Facts = ReadonlyMap<FactName, string>

/** The stated rate, Hz; NaN when it is not a number. */
export function rateOfFacts(facts: Facts): number | undefined {
  const stated = facts.get('rate')
  if (stated === undefined) return undefined
  return factNumber(stated) * (/k\s*hz|kilohertz/i.test(stated) ? 1000 : 1)
}

/**
 * Microvolts per digit from `gain: 2048`, which is in digits per millivolt; `undefined` when none is stated, NaN when it is not a number.
 */
export function gainOfFacts(facts: Facts): number | undefined {
  const digitsPerMv = facts.get('gain')
  return digitsPerMv === undefined || /mm/i.test(digitsPerMv) ? undefined : 1000 / factNumber(digitsPerMv)
}

/** A number with a decimal point or comma; NaN for `2,048`, which is ambiguous. */
function factNumber(text: string): number {
  return /,\d{3}(?!\d)/.test(text) ? Number.NaN : Number.parseFloat(text.replace(',', '.'))
}

export const startOfFacts = (facts: Facts): string | undefined => startOfText(facts.get('start'))

export function personOfFacts(facts: Facts): Person | undefined {
  const [, age, unit] = /^(\d{1,3}(?:\.\d{1,9})?)\s{0,9}([a-z]{0,20})$/i.exec(facts.get('age') ?? '') ?? []
  const [birth, day] = [dateOfText(facts.get('birth')), dateOfText(facts.get('start')?.slice(0, 10))]
  return plausiblePerson({
    sex: sexOfText(facts.get('sex')),
    ageYears: age === undefined ? ageAt(birth, day) : ageInYears(Number(age), unit),
  })
}
