/**
 * The sandbox EHR in its own process, with virtual patients and ECGs: `node cdk/local/sandbox-ehr/main.ts --port 8090`.
 * @module
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ecgObservation } from '../../../streams/fhir/ecg-observation.ts'
import { readRecording } from '../../../streams/formats/index.ts'
import { startSandboxEhr } from './index.ts'

const VIRTUAL_ECG = join(import.meta.dirname, '../../../functions/cli/demo/virtual-ecg.hea')

const PATIENTS = [
  { family: 'Virtual', given: 'Ada', gender: 'female', birthDate: '1951-05-06', hasEcg: true },
  { family: 'Virtual', given: 'Ben', gender: 'male', birthDate: '1968-11-30', hasEcg: true },
  { family: 'Virtual', given: 'Cleo', gender: 'female', birthDate: '1990-02-14', hasEcg: false },
] as const

const { values } = parseArgs({ options: { port: { type: 'string', default: '0' } } })

const ehr = await startSandboxEhr({ port: Number(values.port) })
const recording = await readRecording(VIRTUAL_ECG)
for (const { family, given, hasEcg, ...person } of PATIENTS) {
  const name = [{ family, given: [given] }]
  const { id } = ehr.create({ resourceType: 'Patient', ...person, name })
  if (hasEcg) ehr.create(ecgObservation(recording, { patient: `Patient/${id}`, now: new Date() }))
}
console.log(`sandbox EHR: ${ehr.baseUrl}`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void ehr.stop())
