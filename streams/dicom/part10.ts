/**
 * Writes a data set as a file (PS3.10), which `streams/formats/dicom` reads.
 * @module
 */

import { IMPLEMENTATION_UID } from '../../shared/dicom-uid.ts'

/**
 * Adds the file meta information to a data set.
 * @param syntax the transfer syntax of the data set
 * @param about the instance, for an archive that reads only the file meta information
 */
export function writePart10(
  dataset: Buffer,
  syntax: string,
  about?: { readonly classUid: string; readonly instanceUid: string },
): Buffer {
  const meta = Buffer.concat([
    element(0x0001, 'OB', Buffer.from([0, 1])),
    ...(about === undefined
      ? []
      : [element(0x0002, 'UI', padded(about.classUid)), element(0x0003, 'UI', padded(about.instanceUid))]),
    element(0x0010, 'UI', padded(syntax)),
    ...(about === undefined ? [] : [element(0x0012, 'UI', padded(IMPLEMENTATION_UID))]),
  ])
  const length = Buffer.alloc(4)
  length.writeUInt32LE(meta.length)
  return Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), element(0x0000, 'UL', length), meta, dataset])
}

function element(number: number, vr: string, value: Buffer): Buffer {
  const head = Buffer.alloc(vr === 'OB' ? 12 : 8)
  head.writeUInt16LE(0x0002, 0)
  head.writeUInt16LE(number, 2)
  head.write(vr, 4, 'latin1')
  if (vr === 'OB') head.writeUInt32LE(value.length, 8)
  else head.writeUInt16LE(value.length, 6)
  return Buffer.concat([head, value])
}

const padded = (uid: string) => Buffer.from(uid.length % 2 === 0 ? uid : `${uid}\0`, 'latin1')
