/**
 * English texts of errors, by the API's code.
 * @module
 */
export const errors = {
  'error.unreachable': 'The API does not answer. No data is lost. Check the connection and try again.',
  'error.unavailable': 'The service is not ready. Try again in a moment.',
  'error.internal': 'An unexpected error occurred on the server. Try again. If it happens again, tell the operator.',
  'error.not-found': 'There is no such ECG, or it was deleted.',
  'error.token-missing': 'You are not signed in.',
  'error.token-invalid': 'Your sign-in has ended. Sign in again.',
  'error.scope-missing': 'Your account is not allowed to do this.',
  'error.request-timeout': 'The upload took too long. Try again on a better connection.',
  'error.payload-empty': 'The file is empty.',
  'error.files': '{count} files',
  'error.payload-too-large': 'The file is too large or too long (limit {limit}).',
  'error.payload-malformed':
    'The file is damaged or incomplete ({field}). WFDB needs the .hea and the .dat file together.',
  'error.format-unknown': 'This is not an ECG file in any format that is supported (docs/formats.md).',
  'error.format-unsupported': 'This kind of file is recognised, but this variant of it cannot be read ({field}).',
  'error.lead-unknown': 'A channel is not one of the twelve leads ({field}).',
  'error.lead-duplicate': 'A lead occurs twice ({field}).',
  'error.lead-missing': 'No ECG lead was found in the file.',
  'error.unit-unknown': 'The file does not state the unit of its samples ({field}): mV, uV or V.',
  'error.gain-invalid': 'The gain is impossible ({field}).',
  'error.rate-unsupported': 'The sampling rate must be between 100 and 2000 Hz ({field}).',
  'error.sample-invalid': 'A sample is not a number ({field}).',
  'error.samples-uneven': 'Leads have different lengths ({field}).',
  'error.field-invalid': 'A value is not allowed ({field}).',
  'error.synthesis-unavailable': 'The model bundle of this stack only screens; it cannot draw cines.',
  'error.not-screened': 'The ECG is still being screened. Try again in a moment.',
  'error.ecg-refused': 'The quality gate refused this ECG, so there is nothing to draw or explain.',
  'error.leads-too-few': 'No cine can be drawn: too few leads are acceptable.',
  'error.ecg-unfamiliar': 'No cine can be drawn: the ECG is unlike those that the model was trained on.',
  'error.bundle-mismatch':
    'This result comes from an earlier model than the one in use. Upload the ECG again to screen it with the current model.',
  'error.worker-lost': 'The machine that drew the cine disappeared. Try again.',
  'error.other': 'Refused ({code}, {field}).',
} as const satisfies Record<string, string>
