/**
 * A sentence for every error code: what is wrong, where, and what to do. The command line, the API (`detail`) and a device's `…/cmd` show
 * them; the codes stay. Only names, positions and limits are filled in, never a value.
 * @module
 */
import type { CodedError } from './errors.ts'

/** `{what}` is the file's name where there is one. A part in square brackets is left out when the error lacks the detail that it names. */
export const ERROR_SENTENCES: Readonly<Record<string, string>> = {
  'payload-empty': '{what} holds no samples[ ({field})]. Check that it was exported or uploaded whole.',
  'payload-too-large':
    '{what} is larger than is read[ ({field})][: at most {maxSeconds} s][: at most {maxBytes} bytes][: at most {maxRows} rows]. Cut it and try again.',
  'payload-malformed':
    '{what} cannot be read[ at line {line}][ at offset {offset}][: {field} is not as the format has it]. Export it again, or repair it.',
  'format-unknown':
    '{what} is not an ECG file in any of the {formats} formats (docs/formats.md). If it is one, name its format with --format (API: ?format=).',
  'format-unsupported':
    '{what} uses a part of its format that is not read[: {field}][ at line {line}] (docs/formats.md). Export it in another way.',
  'file-not-found':
    '{what} is not there or may not be read[: {field}][ ({file} of {folder})]. Check its name and its rights; a WFDB record needs all its files.',
  'schema-unsupported': 'The message is of a version that is not known. Update the sender or the receiver.',
  'topic-invalid':
    'The topic is not ecg/v1/TENANT/DEVICE/KIND with names of letters, digits, dots and dashes. Publish to the right topic.',
  'lead-unknown':
    '{what} names no standard lead[ in {field}]. If it has one ECG channel, say which lead it is with --lead (API: ?lead=).',
  'lead-duplicate': '{what} names lead {lead} twice[ in column {column}][ ({field})]. Leave one of them out.',
  'lead-missing': '{what} has no lead[ ({field})]. At least one of I to V6 is needed.',
  'unit-unknown':
    '{what} does not say in which unit its voltages are[: {field}][, column {column}]. State it with --unit mV, uV, V or nV (API: ?unit=).',
  'gain-invalid':
    '{what} states a gain that is none[: {field}][ of lead {lead}][ at line {line}]. Each lead needs a gain above 0.',
  'rate-unsupported':
    'The sampling rate is not between 100 and 2000 Hz[: {field}][ at line {line}]. If the file states a wrong one, give the right one with --rate (API: ?rateHz=).',
  'sample-invalid':
    'A sample cannot be read[: line {line}][, column {column}][: {field}][, sample {sample}]. Repair it, or leave it blank where it is missing.',
  'samples-uneven': 'The leads have different numbers of samples[: {field}]. All leads must be equally long.',
  'sequence-invalid':
    'A frame does not continue its session[: {field}]. Count frames from 0 and samples without a gap, or begin a new session.',
  'clock-invalid': 'The time of the session is not believable[: {field}]. Set the clock of the device to UTC.',
  'session-changed':
    'A frame differs from its session[: {field}]. Begin a new session when leads, rate or gain change.',
  'field-invalid':
    'A field is missing or not as it must be[: {field}][ at line {line}][, column {column}]. Correct it; for a CSV file, --rate and --unit supply what it leaves out.',
  'association-overlap': 'The device has another patient in that time[: {field}]. End the other association first.',
  'association-mismatch':
    'Two parts of a message name different things[: {field}]. Correct the sender; nothing was stored.',
  'synthesis-unavailable': 'The active model bundle cannot draw. Install one that can with `cardiacnets models use`.',
  'not-screened': 'The ECG has no result yet. Wait until it is screened and ask again.',
  'ecg-refused': 'The quality gate refused the ECG, so nothing is drawn from it. Record it again.',
  'leads-too-few': 'Too few leads can be used to draw from[: {field}]. Record the ECG again with all electrodes.',
  'ecg-unfamiliar':
    'The ECG is not like those that the model knows, so nothing is drawn from it. Check leads and electrodes.',
  'provider-inactive': 'The execution provider cannot be used here[: {provider}]. Check the driver, or use the CPU.',
  'artifact-corrupt': 'A stored file is not what was written. Draw the cine again, and look for faults of the storage.',
  'worker-lost': 'The worker that drew the cine ended before it was done. Ask for it again.',
  unauthorized: 'The secret is missing or wrong[: {field}]. Send the one that the site has configured.',
  'ehr-unavailable':
    'The EHR cannot be reached or does not answer in time[: {address}]. Check its address and that it runs; calls are repeated.',
  'ehr-unauthorized': 'The EHR does not take our credentials[: {field}]. Run `cardiacnets fhir check`.',
  'ehr-forbidden': 'The EHR does not allow this. Extend the scope of our client there.',
  'ehr-refused':
    'The EHR refuses what was sent[ (status {status})]. Run `cardiacnets fhir check` and see docs/fhir.md.',
  'ehr-malformed':
    'The answer is not as the standard has it[: {field}]. Check that the address is that of a FHIR server.',
  'origin-foreign': 'A reference leads to another server[: {field}]. Only the EHR of the site is read.',
  'not-found': 'There is nothing at this address[: {field}]. Check the id; what was deleted is gone.',
  'token-missing': 'A bearer token is needed. Send it in the Authorization header.',
  'token-invalid': 'The token is not valid[: {field}]. Get a new one from the identity provider.',
  'scope-missing': 'The token does not allow this[: it needs the scope {scope}]. Ask for a token with that scope.',
  'tenant-forbidden': 'This tenant may not do this here[: {field}]. Have the site list it (docs/api.md).',
  'request-timeout': 'The request took too long to arrive. Send it again over a faster connection.',
  'not-acceptable': 'The answer cannot be given in that form[: {field}]. Ask for another content type.',
  deleted: 'The ECG was deleted. Only an upload by a person brings it back.',
  'address-closed': 'This address is not for callers. Ask by the site’s own name (docs/api.md).',
  'limit-exceeded': 'A limit was reached[: {field}]. Wait as Retry-After says, or have the site raise it.',
  'correction-expired': 'The samples came too late to correct the result[: {field}]. The result stays as it is.',
  'delivery-refused': 'The receiver refused the delivery[: {field}]. Look at its log and send it again.',
  'disk-full': 'The disk is full[: {file} of {folder}][ ({field})]. Make room; what was acknowledged is kept.',
  'data-corrupt':
    'A data file is damaged[: {file} of {folder}]. Put a copy of it in its place, or move it away and start again: what it held is lost then.',
  'data-in-use': 'Another process uses the data[: {file} of {folder}]. Stop that one, or name another folder.',
  'data-unwritable':
    'The data cannot be read or written[: {file} of {folder}]. Change the owner or the rights of the folder, or name another one.',
  'data-foreign': 'The data is not of this program[: {file} of {folder}]. Name another folder, or move the file away.',
  'data-newer':
    'The data was written by a later version of this program[: {file} of {folder}]. Update the program, or name another folder.',
  'port-taken': 'A port is taken[: {port}][ ({field})]. Stop what listens there, or choose another one.',
  'claim-check-mismatch': 'A stored waveform is not the one that the message names. Send the ECG again.',
  'bundle-missing':
    'There is no model bundle in that folder[: {folder} has no {field}]. Give one with --model or `cardiacnets models use`.',
  'bundle-corrupt':
    'A file of the model bundle is not what its manifest says[: {field}][ of {folder}]. Install the bundle again.',
  'bundle-mismatch': 'The model bundle does not fit this version[: {field}]. Use a bundle made for it.',
  'bundle-older':
    'The model bundle is not newer than the active one[: {version} after {active}]. Install a later one, or go back with `gateway bundle rollback`.',
  'rollback-impossible':
    'No model bundle was installed, so there is none to go back to. See `cardiacnets gateway bundle list`.',
  'signature-invalid':
    'The model bundle is not signed by a key that this gateway trusts[: {field}][ of {folder}]. Get it again from its maker, or add the key to bundles.keys.',
  'site-config-invalid':
    'The configuration of the site has a fault[: {field}][ ({expected})][, {file} of {folder}]. Correct it (docs/fhir.md, docs/gateway.md).',
  'calibration-missing': 'There is no site calibration in that file[: {field}]. Make one with `cardiacnets evaluate`.',
  'calibration-corrupt': 'The site calibration cannot be read[: {field}]. Make it again with `cardiacnets evaluate`.',
  'calibration-mismatch':
    'The site calibration was made for another model bundle[: {field}]. Make it again with `cardiacnets evaluate`.',
  'prevalence-unknown': 'The base rate of a condition is needed[: {field}]. State it with --prevalence.',
  unavailable:
    'A service cannot be reached[: {field}][ at {address}][ ({why})]. Check its address and that it runs, then try again.',
  internal: 'Something failed that should not. Please report it with what you did.',
}

/** The sentence of an error, about a file where there is one. */
export function sentenceOf({ code, detail }: Pick<CodedError, 'code' | 'detail'>, what = 'The input'): string {
  const known: Readonly<Record<string, unknown>> = { ...detail, what, formats: 13 }
  const sentence = ERROR_SENTENCES[code] ?? `${code}[: {field}].`
  // Optional parts first: each names at most one detail.
  const whole = sentence
    .split(/[[\]]/)
    .map((part, i) => (i % 2 === 0 || known[nameIn(part)] !== undefined ? part : ''))
    .join('')
  return whole.replace(/\{([a-zA-Z]{1,20})\}/g, (_, name) => String(known[name] ?? 'it'))
}

const nameIn = (part: string) => /\{([a-zA-Z]{1,20})\}/.exec(part)?.[1] ?? ''
