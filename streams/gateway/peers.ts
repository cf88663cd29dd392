/**
 * Names of the receivers of results in the store.
 * @module
 */
import type { Topic } from '../mqtt/topics.ts'
import type { Archive, Destination } from './config.ts'

export const devicePeer = ({ tenant, device }: Pick<Topic, 'tenant' | 'device'>) => `device:${tenant}/${device}`
export const hl7Peer = ({ name }: Pick<Destination, 'name'>) => `hl7:${name}`
export const archivePeer = ({ name }: Pick<Archive, 'name'>) => `archive:${name}`
export const FOLDER_PEER = 'folder'
