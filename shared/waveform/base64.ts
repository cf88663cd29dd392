/**
 * Decodes base64 in common variants: standard or URL-safe, with or without padding, with line breaks.
 * @module
 */

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

/** The bytes; `undefined` for text that is not base64. */
export function bytesOfBase64(text: string): Buffer | undefined {
  const dense = text.replace(/\s+/g, '').replaceAll('-', '+').replaceAll('_', '/')
  const digits = dense.replace(/={1,2}$/, '').length
  const isWhole = dense.length === digits || dense.length % 4 === 0
  // A single digit does not encode a byte.
  return isWhole && digits % 4 !== 1 && BASE64.test(dense) ? Buffer.from(dense, 'base64') : undefined
}
