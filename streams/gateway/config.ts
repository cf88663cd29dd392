/**
 * The gateway's configuration: one JSON file, or flags for a trial. Secrets are named by their files.
 * @module
 */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import * as z from 'zod'
import { placeOf } from '../../shared/data-files.ts'
import { CONDITION_IDS } from '../../shared/domain/conditions.ts'
import { LEADS } from '../../shared/domain/leads.ts'
import { DEVICE_RESULTS } from '../../shared/domain/result-summary.ts'
import { CodedError } from '../../shared/errors.ts'
import { Name } from '../../shared/messages.ts'
import { isZone } from '../hl7/time.ts'

const Port = z.int().min(0).max(65_535)
const File = z.string().min(1)
const Label = z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/)

const Tls = z.strictObject({
  cert: File,
  key: File,
  /** The authority that must have signed the certificates of peers: mutual TLS. */
  ca: File.optional(),
})

const DoorSettings = z.strictObject({
  host: z.string().default('127.0.0.1'),
  port: Port,
  tls: Tls.optional(),
  /** Addresses and networks that may connect. Outside loopback, this or mutual TLS is required. */
  peers: z.array(z.string()).min(1).optional(),
})

const Code = z.tuple([z.string(), z.string(), z.string()]).readonly()
const CodeTable = z.strictObject({
  service: Code.optional(),
  findings: z.partialRecord(z.enum(CONDITION_IDS), Code).optional(),
  indices: z.record(z.string(), Code).optional(),
  quality: Code.optional(),
  warning: Code.optional(),
  report: Code.optional(),
})

const Zone = z.string().refine(isZone, 'an IANA time zone')

/** The authority of the peer's certificate, and our own certificate if the peer requires one. */
const PeerTls = z.strictObject({ ca: File.optional(), cert: File.optional(), key: File.optional() })

const AeTitle = z.string().regex(/^[\x21-\x7e]{1,16}$/)

/** AWS credentials for a device certificate; outside Greengrass, whose token exchange service does the same. */
const IotCredentials = z.strictObject({
  endpoint: z.url({ protocol: /^https$/ }),
  roleAlias: z.string().regex(/^[\w=,@-]{1,128}$/),
  thing: Label.optional(),
  cert: File,
  key: File,
  ca: File.optional(),
})

const Sending = {
  name: Label,
  /** Which results are sent. A live device has a result every ten seconds; those are sent only if the site asks for `everything`. */
  sends: z.enum(['recordings', 'everything']).default('recordings'),
}

const Destination = z.strictObject({
  ...Sending,
  host: z.string(),
  port: Port,
  tls: PeerTls.optional(),
  receiving: z.tuple([z.string(), z.string()]).default(['', '']),
  version: z.enum(['2.3', '2.3.1', '2.4', '2.5', '2.5.1', '2.6', '2.7', '2.8']).default('2.5.1'),
  processingId: z.enum(['P', 'T', 'D']).default('P'),
  codes: CodeTable.prefault({}),
  pdf: z.boolean().default(true),
  timeoutMs: z.int().min(100).max(600_000).default(30_000),
})

/** Archives for structured reports: by C-STORE, or by STOW-RS. */
const Archive = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('dicom'),
    ...Sending,
    host: z.string(),
    port: Port,
    called: AeTitle,
    calling: AeTitle.default('CARDIACNETS'),
    tls: PeerTls.optional(),
  }),
  z.strictObject({ kind: z.literal('dicomweb'), ...Sending, url: z.url(), tokenFile: File.optional() }),
])

const Hl7 = DoorSettings.extend({
  sending: z.tuple([z.string(), z.string()]).default(['CARDIACNETS', 'GATEWAY']),
  timeZone: Zone.default('UTC'),
  defaults: z
    .strictObject({
      rateHz: z.number().positive().optional(),
      gainUv: z.number().positive().optional(),
      leads: z.record(z.string(), z.enum(LEADS)).optional(),
    })
    .prefault({}),
  /** Devices at each bed: `{"ICU^01^A": ["monitor-7"]}`. */
  beds: z.record(z.string(), z.array(Name)).default({}),
  maxMessageMb: z.number().positive().max(256).default(32),
})

const Mqtt = DoorSettings.extend({
  /** Form of the results for devices: `summary` is below 5 KB and leaves out most of the 82 indices. */
  results: z.enum(DEVICE_RESULTS).default('whole'),
})

const Dicom = DoorSettings.extend({
  aeTitle: AeTitle.default('CARDIACNETS'),
  /** Calling AE titles that may store. */
  allow: z.array(z.string()).min(1),
})

export const GatewayConfig = z.strictObject({
  tenant: Name.default('local'),
  /** Folder of the journal: on an encrypted disk. */
  data: File.default('.local/gateway'),
  limitMb: z.number().min(0.5).max(1_000_000).default(4096),
  /** How long an ECG is kept after everything that waits for it is done. */
  keepHours: z
    .number()
    .positive()
    .max(24 * 365)
    .default(24),
  mqtt: Mqtt.optional(),
  hl7: Hl7.optional(),
  destinations: z.array(Destination).default([]),
  dicom: Dicom.optional(),
  archives: z.array(Archive).default([]),
  folder: z.strictObject({ watch: File }).optional(),
  /** Log file, rotated by size. Absent: standard output, which journald and container runtimes rotate. */
  log: z
    .strictObject({
      file: File,
      maxMb: z.number().min(0.01).max(10_000).default(10),
      keep: z.int().min(1).max(100).default(5),
    })
    .optional(),
  status: z.strictObject({ port: Port.default(9465) }).prefault({}),
  /** Whether values that were learned from simulated people may be sent to an EHR. */
  virtual: z.boolean().default(false),
  forward: z
    .discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('sqs'),
        queueUrl: z.url(),
        bucket: z.string().min(3),
        credentials: IotCredentials.optional(),
      }),
      z.strictObject({ kind: z.literal('api'), url: z.url(), tokenFile: File.optional() }),
    ])
    .optional(),
  /** Rate for ECGs that waited while the cloud was unavailable; live ECGs are sent at once. */
  backlogPerSecond: z.number().positive().max(1000).default(20),
  /** Signers of the model bundles that `gateway bundle install` accepts. */
  bundles: z
    .strictObject({
      /** PEM files of Ed25519 public keys, one of which must have signed a bundle. */
      keys: z.array(File).max(16).default([]),
    })
    .prefault({}),
  sessionIdleS: z.number().positive().max(3600).default(15),
})
export type GatewayConfig = z.infer<typeof GatewayConfig>
export type Destination = z.infer<typeof Destination>
export type Archive = z.infer<typeof Archive>

/**
 * Validates a configuration.
 * @throws CodedError `site-config-invalid` naming the field, never its value
 */
export function parseGatewayConfig(document: unknown): GatewayConfig {
  const { data, error } = GatewayConfig.safeParse(document)
  if (data === undefined) {
    const { path, message } = error.issues[0]!
    throw new CodedError('site-config-invalid', { field: ['gateway', ...path].join('.'), expected: message })
  }
  for (const peers of ['destinations', 'archives'] as const) {
    const names = data[peers].map(({ name }) => name)
    if (new Set(names).size < names.length) throw new CodedError('site-config-invalid', { field: `gateway.${peers}` })
  }
  return data
}

/** Reads the file. Relative paths in it are resolved from its folder. */
export function readGatewayConfig(path: string): GatewayConfig {
  let document: unknown
  try {
    document = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    const isThere = cause instanceof SyntaxError
    throw new CodedError(
      isThere ? 'site-config-invalid' : 'file-not-found',
      { field: 'gateway', ...placeOf(path) },
      isThere ? {} : { cause },
    )
  }
  return withPaths(parseGatewayConfig(document), dirname(resolve(path)))
}

function withPaths(config: GatewayConfig, base: string): GatewayConfig {
  const at = (file: string) => resolve(base, file)
  const peerTls = ({ tls: files }: { readonly tls?: z.infer<typeof PeerTls> | undefined }) =>
    files && {
      tls: Object.fromEntries(Object.entries(files).flatMap(([key, file]) => (file ? [[key, at(file)]] : []))),
    }
  const tls = <T extends { tls?: z.infer<typeof Tls> | undefined }>(door: T): T =>
    door.tls === undefined
      ? door
      : {
          ...door,
          tls: { cert: at(door.tls.cert), key: at(door.tls.key), ...(door.tls.ca && { ca: at(door.tls.ca) }) },
        }
  return {
    ...config,
    data: at(config.data),
    bundles: { keys: config.bundles.keys.map(at) },
    ...(config.log && { log: { ...config.log, file: at(config.log.file) } }),
    ...(config.mqtt && { mqtt: tls(config.mqtt) }),
    ...(config.hl7 && { hl7: tls(config.hl7) }),
    ...(config.dicom && { dicom: tls(config.dicom) }),
    ...(config.folder && { folder: { watch: at(config.folder.watch) } }),
    ...(config.forward && { forward: forwardAt(config.forward, at) }),
    destinations: config.destinations.map((each) => ({ ...each, ...peerTls(each) })),
    archives: config.archives.map((each) => ({
      ...each,
      ...(each.kind === 'dicom' ? peerTls(each) : each.tokenFile && { tokenFile: at(each.tokenFile) }),
    })),
  }
}

function forwardAt(forward: NonNullable<GatewayConfig['forward']>, at: (file: string) => string) {
  if (forward.kind === 'api') return { ...forward, ...(forward.tokenFile && { tokenFile: at(forward.tokenFile) }) }
  const { credentials } = forward
  if (credentials === undefined) return forward
  const { cert, key, ca } = credentials
  return { ...forward, credentials: { ...credentials, cert: at(cert), key: at(key), ...(ca && { ca: at(ca) }) } }
}

/**
 * Reads a PEM file.
 * @throws CodedError `file-not-found`
 */
export function readPem(file: string, field: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new CodedError('file-not-found', { field, ...placeOf(file) }, { cause })
  }
}

/** Reads the certificates for a peer. */
export function readPeerTls(tls: z.infer<typeof PeerTls> | undefined, field: string) {
  const pem = (part: 'ca' | 'cert' | 'key') =>
    tls?.[part] === undefined ? {} : { [part]: readPem(tls[part], `${field}.tls.${part}`) }
  return tls && { ...pem('ca'), ...pem('cert'), ...pem('key') }
}

export type DoorSettings = z.infer<typeof DoorSettings>

/** Address of a door, with its certificates read. */
export function doorAddress({ host, port, tls, peers }: DoorSettings, name: string) {
  return {
    host,
    port,
    peers,
    ...(tls === undefined
      ? {}
      : {
          tls: {
            cert: readPem(tls.cert, `${name}.tls.cert`),
            key: readPem(tls.key, `${name}.tls.key`),
            ...(tls.ca === undefined ? {} : { ca: readPem(tls.ca, `${name}.tls.ca`) }),
          },
        }),
  }
}
