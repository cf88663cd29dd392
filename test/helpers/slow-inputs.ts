/**
 * Files of one long run of a character, as an ambiguous regular expression is slow at.
 * @module
 */
const lead = (text: string) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'urn:oid:2.16.840.1.113883.6.24', code: '131328' }] },
  component: [
    {
      code: { text },
      valueSampledData: { origin: { value: 0 }, period: 2, dimensions: 1, factor: 1, data: '1 2 3' },
    },
  ],
})

const csv = (text: string) => ['csv', text] as const

/** Each by what it is: a format, and a file of it that took from 20 s to minutes. */
export const SLOW_INPUTS: Readonly<Record<string, readonly [format: string, content: string]>> = {
  'a line of CSV that might state a fact': csv(`#${' '.repeat(4096)}\nI,II\n1,2\n`),
  'such a line of letters': csv(`${'a '.repeat(4096)}\nI,II\n1,2\n`),
  'a cell of a header of blanks': csv(`I${' '.repeat(100_000)}x,II\n1,2\n`),
  'a header cell of brackets': csv(`I${'('.repeat(100_000)},II\n1,2\n`),
  'a sample of digits': csv(`I (mV),time\n${'1'.repeat(200_000)}x,0\n`),
  'a header like that of Movesense': csv(`Timestamp,${' '.repeat(100_000)}Value\n1,2\n`),
  'the name of a lead in FHIR': ['fhir', JSON.stringify(lead(`V1${' '.repeat(100_000)}x`))],
  'a name of tabulators in FHIR': ['fhir', JSON.stringify(lead('\t'.repeat(200_000)))],
  'a value of SampledData': ['fhir', JSON.stringify(lead('I')).replace('1 2 3', `${'0'.repeat(200_000)}x`)],
  'the record line of WFDB': ['wfdb', `r 1 500 5000 ${' 1'.repeat(100_000)}x\nr.dat 16 200 16 0 0 0 0 I\n`],
  'a comment of WFDB': ['wfdb', `r 1 500 5000\nr.dat 16 200 16 0 0 0 0 I\n# age${' '.repeat(200_000)}x\n`],
  'the name of a lead in WFDB': ['wfdb', `r 1 500 5000\nr.dat 16 200 16 0 0 0 0 ecg${' '.repeat(200_000)}\n`],
  'a document type of XML': ['muse', `<!DOCTYPE ${'a'.repeat(100_000)} SYSTEM "${'b'.repeat(100_000)}`],
  'comments before the root of XML': ['aecg', `${'<!-- -->'.repeat(2000)}<!--${'-'.repeat(100_000)}`],
}
