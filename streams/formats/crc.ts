/**
 * Checksums in formats.
 * @module
 */

/** CRC-CCITT of SCP-ECG (ISO 11073-91064) and ISHNE: polynomial 0x1021, initial value 0xffff. */
export function crcCcitt(bytes: Uint8Array): number {
  let crc = 0xffff
  // An index loop, because an iterator takes seven times as long.
  for (let i = 0; i < bytes.length; i++) crc = ((crc << 8) ^ TABLE[(crc >>> 8) ^ bytes[i]!]!) & 0xffff
  return crc
}

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)
  return crc
})
