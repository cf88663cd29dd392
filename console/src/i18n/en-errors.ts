/**
 * English texts of errors, by the API's code.
 * @module
 */
export const errors = {
  'error.unreachable': 'The API does not answer. Check the connection; nothing is lost, try again.',
  'error.unavailable': 'The service is not ready. Try again in a moment.',
  'error.internal': 'Something went wrong on the server. Try again; if it stays, tell the operator.',
  'error.not-found': 'There is no such ECG, or it was deleted.',
  'error.token-missing': 'You are not signed in.',
  'error.token-invalid': 'Your sign-in has ended. Sign in again.',
  'error.scope-missing': 'Your account may not do this.',
  'error.request-timeout': 'The upload took too long. Try again on a better connection.',
  'error.payload-empty': 'The file is empty.',
  'error.files': '{count} files',
  'error.payload-too-large': 'The file is too large or too long (limit {limit}).',
  'error.payload-malformed':
    'The file is damaged or incomplete ({field}). WFDB needs the .hea and the .dat file together.',
  'error.format-unknown': 'This is not an ECG file in any format that is supported (docs/formats.md).',
  'error.format-unsupported': 'This kind of file is recognised, but this variant of it cannot be read ({field}).',
  'error.lead-unknown': 'A channel is none of the twelve leads ({field}).',
  'error.lead-duplicate': 'A lead is there twice ({field}).',
  'error.lead-missing': 'No ECG lead was found in the file.',
  'error.unit-unknown': 'The file does not say its unit ({field}). Name it: mV, uV or V.',
  'error.gain-invalid': 'The gain is impossible ({field}).',
  'error.rate-unsupported': 'The sampling rate must be between 100 and 2000 Hz ({field}).',
  'error.sample-invalid': 'A sample is not a number ({field}).',
  'error.samples-uneven': 'Leads have different lengths ({field}).',
  'error.field-invalid': 'A value is not allowed ({field}).',
  'error.synthesis-unavailable': 'The model bundle of this stack screens only; it cannot draw.',
  'error.not-screened': 'The ECG is still being screened. Try again in a moment.',
  'error.ecg-refused': 'The quality gate refused this ECG: there is nothing to draw or to explain.',
  'error.leads-too-few': 'No cine can be drawn: too few leads are acceptable.',
  'error.ecg-unfamiliar': 'No cine can be drawn: the ECG is unlike those that the model knows.',
  'error.bundle-mismatch':
    'A newer model is in use than the one that gave this result. Upload the ECG again to ask that one.',
  'error.worker-lost': 'The machine that drew it disappeared. Try again.',
  'error.other': 'Refused ({code}, {field}).',
} as const satisfies Record<string, string>
