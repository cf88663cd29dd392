/**
 * UIDs of the DICOM objects that the gateway and CMR synthesis create.
 * @module
 */
import { parse as uuidBytes, v5 as uuidv5 } from 'uuid'

/** Namespace of our DICOM UIDs: UUIDv5 of `dicom.cardiacnets.edge` in the DNS namespace of RFC 9562. */
const NAMESPACE = uuidv5('dicom.cardiacnets.edge', uuidv5.DNS)

export const IMPLEMENTATION_UID = toUid(NAMESPACE)

/** A UID derived from a name, which is any JSON value. The same name always gives the same UID. */
export const uidOf = (name: readonly unknown[]): string => toUid(uuidv5(JSON.stringify(name), NAMESPACE))

/** A UUID as a DICOM UID: 2.25 followed by its decimal value (PS3.5, B.2). */
function toUid(uuid: string): string {
  return `2.25.${BigInt(`0x${Buffer.from(uuidBytes(uuid)).toString('hex')}`)}`
}
