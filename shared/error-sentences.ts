/**
 * A sentence for every error code: what is wrong, where, and what to do. The command line, the API (`detail`) and a device's `…/cmd` show
 * them; the codes stay. Only names, positions and limits are filled in, never a value.
 * @module
 */
import type { CodedError } from './errors.ts'

/** `{what}` is the file's name where there is one. A part in square brackets is left out when the error lacks the detail that it names. */
export const ERROR_SENTENCES: Readonly<Record<string, string>> = {
  'payload-empty': '{what} contains no samples[ ({field})]. Check that the whole file was exported or uploaded.',
  'payload-too-large':
    '{what} exceeds a limit[ ({field})][: at most {maxSeconds} s][: at most {maxBytes} bytes][: at most {maxRows} rows]. Split it and try again.',
  'payload-malformed':
    '{what} is damaged or does not follow its format[ at line {line}][ at offset {offset}][: {field}]. Export it again or repair it.',
  'format-unknown':
    '{what} is not an ECG file in any of the {formats} supported formats (docs/formats.md). If it is one, name its format with --format (API: ?format=).',
  'format-unsupported':
    '{what} uses a feature of its format that is not supported[: {field}][ at line {line}] (docs/formats.md). Export it in another format.',
  'file-not-found':
    '{what} does not exist or is not readable[: {field}][ ({file} of {folder})]. Check its name and permissions. A WFDB record needs all its files.',
  'schema-unsupported': 'The message has an unknown schema version. Update the sender or the receiver.',
  'topic-invalid':
    'The topic is not ecg/v1/TENANT/DEVICE/KIND with names of letters, digits, dots and dashes. Publish to a topic of that form.',
  'lead-unknown':
    '{what} contains no standard lead name[ in {field}]. If it has one ECG channel, name its lead with --lead (API: ?lead=).',
  'lead-duplicate': '{what} contains lead {lead} twice[ in column {column}][ ({field})]. Remove one of them.',
  'lead-missing': '{what} has no lead[ ({field})]. At least one of I to V6 is required.',
  'unit-unknown':
    '{what} does not state the unit of its voltages[: {field}][, column {column}]. Add --unit mV, uV, V or nV (API: ?unit=).',
  'gain-invalid':
    '{what} states an invalid gain[: {field}][ of lead {lead}][ at line {line}]. Each lead needs a gain above 0.',
  'rate-unsupported':
    'The sampling rate is not between 100 and 2000 Hz[: {field}][ at line {line}]. If the file states a wrong rate, add --rate with the right one (API: ?rateHz=).',
  'sample-invalid':
    'A sample cannot be read[: line {line}][, column {column}][: {field}][, sample {sample}]. Repair it, or leave it blank if it is missing.',
  'samples-uneven': 'The leads have different numbers of samples[: {field}]. All leads must have the same length.',
  'sequence-invalid':
    'A frame does not continue its session[: {field}]. Number frames from 0 and samples without a gap, or start a new session.',
  'clock-invalid': 'The start time of the session is implausible[: {field}]. Set the device’s clock to UTC.',
  'session-changed':
    'A frame has other settings than its session[: {field}]. Start a new session when leads, rate or gain change.',
  'field-invalid':
    'A field is missing or invalid[: {field}][ at line {line}][, column {column}]. Correct it[, or state the value with {option}].',
  'association-overlap':
    'The device is associated with another patient in that period[: {field}]. End the other association first.',
  'association-mismatch': 'Two parts of a message disagree[: {field}]. Correct the sender. Nothing was stored.',
  'synthesis-unavailable':
    'The active model bundle has no synthesis model. Install one that has with `cardiacnets models use`.',
  'not-screened': 'The ECG has no result yet. Try again when it has been screened.',
  'ecg-refused': 'The quality gate refused the ECG, so no cine can be drawn from it. Record it again.',
  'leads-too-few': 'The ECG has too few usable leads for a cine[: {field}]. Record it again with all electrodes.',
  'ecg-unfamiliar':
    'The ECG is unlike the ECGs that the model was trained on, so no cine is drawn from it. Check leads and electrodes.',
  'provider-inactive':
    'The execution provider is not available on this machine[: {provider}]. Check the driver, or use the CPU.',
  'artifact-corrupt': 'A stored file does not match its checksum. Request the cine again, and check the storage.',
  'worker-lost': 'The worker stopped before the cine was finished. Request it again.',
  unauthorized: 'The secret is missing or wrong[: {field}]. Send the secret configured for this site.',
  'ehr-unavailable':
    'The EHR cannot be reached or does not answer in time[: {address}]. Check its address and that it runs. Calls are retried.',
  'ehr-unauthorized': 'The EHR rejected our credentials[: {field}]. Run `cardiacnets fhir check`.',
  'ehr-forbidden': 'The EHR denied access. Extend the scope of our client in the EHR.',
  'ehr-refused': 'The EHR rejected the request[ (status {status})]. Run `cardiacnets fhir check` and see docs/fhir.md.',
  'ehr-malformed':
    'The EHR’s answer does not follow the standard[: {field}]. Check that the address is that of a FHIR server.',
  'origin-foreign': 'A reference points to another server[: {field}]. Only the site’s own EHR is read.',
  'not-found': 'Nothing was found at this address[: {field}]. Check the id. Deleted ECGs cannot be retrieved.',
  'token-missing': 'A bearer token is required. Send it in the Authorization header.',
  'token-invalid': 'The token is invalid or expired[: {field}]. Get a new one from the identity provider.',
  'scope-missing': 'The token lacks a scope[: {scope}]. Request a token with that scope.',
  'tenant-forbidden':
    'This tenant is not allowed to do this[: {field}]. Add it to the site’s configuration (docs/fhir.md).',
  'request-timeout': 'The request took too long to arrive. Send it again over a faster connection.',
  'not-acceptable': 'The answer is not available in the requested content type[: {field}]. Request another one.',
  deleted: 'The ECG was deleted. Only a person can upload it again.',
  'address-closed': 'This address does not accept direct calls. Use the address in the stack’s output ApiUrl.',
  'limit-exceeded':
    'A limit was reached[: {field}]. Wait for the time in Retry-After, or raise the limit in the site’s configuration.',
  'correction-expired': 'The samples arrived too late to correct the result[: {field}]. The result is unchanged.',
  'association-rejected':
    'The archive[ at {address}] answers, but rejects the association[: {why}]. Use the AE titles that it is configured with: its own (called) and ours (calling).',
  'association-aborted':
    'The archive[ at {address}] answers, but aborted the association[: {why}]. Try again. If it aborts again, check its log.',
  'delivery-refused':
    'The receiver[ at {address}] rejected the delivery[: {field}][ ({why})]. Check its log, then send it again.',
  'disk-full': 'The disk is full[: {file} of {folder}][ ({field})]. Free some space. Acknowledged data is kept.',
  'data-corrupt':
    'A data file is damaged[: {file} of {folder}]. Restore it from a backup. Or move it away and restart: its contents are lost then.',
  'data-in-use': 'Another process uses the data[: {file} of {folder}]. Stop that process, or choose another folder.',
  'data-unwritable':
    'The data cannot be read or written[: {file} of {folder}]. Change the folder’s owner or permissions, or choose another folder.',
  'data-foreign':
    'The data belongs to another program[: {file} of {folder}]. Choose another folder, or move the file away.',
  'data-newer':
    'The data was written by a newer version of this program[: {file} of {folder}]. Update the program, or choose another folder.',
  'port-taken':
    'A port is already in use[: {port}][ ({field})]. Stop the process that uses it, or choose another port.',
  'claim-check-mismatch': 'A stored waveform does not match its message. Send the ECG again.',
  'bundle-missing':
    'The folder contains no model bundle[: {folder} has no {field}]. Pass one with --model, or run `cardiacnets models use`.',
  'bundle-corrupt':
    'A file of the model bundle does not match the manifest[: {field}][ of {folder}]. Install the bundle again.',
  'bundle-mismatch':
    'The model bundle does not fit this version of the program[: {field}]. Use a bundle made for this version.',
  'bundle-older':
    'The model bundle is not newer than the active one[: {version} after {active}]. Install a newer one, or run `gateway bundle rollback`.',
  'rollback-impossible': 'No earlier model bundle is installed. See `cardiacnets gateway bundle list`.',
  'signature-invalid':
    'The model bundle is not signed with a trusted key[: {field}][ of {folder}]. Get it again from its maker, or add the key to bundles.keys.',
  'site-config-invalid':
    'The site configuration is invalid[: {field}][ ({expected})][, {file} of {folder}]. Correct it (docs/fhir.md, docs/gateway.md).',
  'calibration-missing': 'The file contains no site calibration[: {field}]. Make one with `cardiacnets evaluate`.',
  'calibration-corrupt': 'The site calibration cannot be read[: {field}]. Make it again with `cardiacnets evaluate`.',
  'calibration-mismatch':
    'The site calibration was made for another model bundle[: {field}]. Make it again with `cardiacnets evaluate`.',
  'prevalence-unknown': 'The prevalence of a condition is missing[: {field}]. Add it with --prevalence.',
  unavailable:
    'A service cannot be reached[: {field}][ at {address}][ ({why})]. Check its address and that it runs, then try again.',
  internal: 'An unexpected error occurred. Please report it with the steps that led to it.',
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
