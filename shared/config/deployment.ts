/**
 * How big a site is, what of the stack it wants, and how long it keeps what: the part of a site's configuration that only a deployment reads.
 * @module
 */
import * as z from 'zod'
import { DEVICE_RESULTS } from '../domain/result-summary.ts'
import { Name } from '../messages.ts'
import { DeviceLimits } from './device-limits.ts'
import { SCOPES, type Scope } from './scopes.ts'

const SecretArn = z.string().startsWith('arn:')

/** A customer's key. */
export const KeyArn = z.string().regex(/^arn:[^:]+:kms:[^:]+:\d{12}:key\/[\w-]+$/)

/** What CloudWatch Logs knows as a retention. */
const LOG_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
] as const

const Days = z.int().min(1).max(36_500)

/**
 * How the adapter proves to the broker who it is. The secret is a JSON object, kept in AWS Secrets Manager by
 * the broker's operator, under its own key or `keyArn`.
 */
const BrokerAuth = z.discriminatedUnion('kind', [
  /** `{"username": …, "password": …}` */
  z.strictObject({ kind: z.literal('password'), secretArn: SecretArn, keyArn: KeyArn.optional() }),
  /** `{"certificate": PEM, "key": PEM}`; AWS IoT Core knows no other way. */
  z.strictObject({ kind: z.literal('certificate'), secretArn: SecretArn, keyArn: KeyArn.optional() }),
])

/** One adapter with a machine and a journal of its own, for the frames of some tenants. */
const Shard = z.strictObject({
  /** Short and for good: it names the adapter's session at the broker, and its volume. */
  id: z.string().regex(/^[a-z0-9]{1,7}$/),
  tenants: z.array(Name).min(1),
})
export type Shard = z.infer<typeof Shard>

/** A shard's `MQTT_CLIENT_ID`: its session at the broker, and what its adapter's metrics are counted by. */
export const adapterName = ({ id }: Shard) => `ecg-${id}`

const Adapter = z.strictObject({
  /** TLS only: what passes are ECGs. */
  brokerUrl: z.url({ protocol: /^(mqtts|wss)$/ }),
  /** 4 is MQTT 3.1.1. */
  mqttVersion: z.union([z.literal(4), z.literal(5)]).default(5),
  auth: BrokerAuth,
  /** Connections of each adapter: a broker may limit one (AWS IoT Core: 100 messages/s). */
  connections: z.int().min(1).max(64).default(1),
  /** What one device and one tenant may ask of it. */
  limits: DeviceLimits,
  shards: z
    .array(Shard)
    .min(1)
    .refine((shards) => isUnique(shards.map(({ id }) => id)), 'ids must differ')
    .refine((shards) => isUnique(shards.flatMap(({ tenants }) => tenants)), 'a tenant belongs to one shard'),
})
export type AdapterDeployment = z.infer<typeof Adapter>

/** How devices reach us; neither where ECGs come from files and the EHR only. */
const Gateway = z.strictObject({
  /** AWS IoT Core as the devices' broker. */
  iotCore: z.boolean().default(false),
  /** Puts windows together from frames, of IoT Core or of a broker of the site's own. */
  adapter: Adapter.optional(),
  /** What devices get: `summary` fits one message of IoT Core, and leaves out most of the 82 indices. */
  results: z.enum(DEVICE_RESULTS).default('whole'),
  /** Lets devices send their windows to IoT Core's rule itself (Basic Ingest), which costs no messages. */
  basicIngest: z.boolean().default(false),
})

/** Who signs the tokens of the API's callers. Without one, a deployed API answers nobody. */
const IdentityProvider = z.strictObject({
  kind: z.literal('oidc').optional(),
  issuer: z.url({ protocol: /^https$/ }),
  audience: z.string().min(1),
  jwksUrl: z.url({ protocol: /^https$/ }),
  /** Claim that names a caller's tenant. */
  tenantClaim: z.string().min(1).default('tenant'),
  /**
   * Whether API Gateway checks tokens before the app does. It knows RSA only, and reads the keys from the issuer's discovery document; a
   * provider without either sets this to false, and the app alone checks.
   */
  isCheckedAtGateway: z.boolean().default(true),
})
export type IdentityProvider = z.infer<typeof IdentityProvider>

/** What people of a group may do, where the site says nothing else. */
const GROUPS = {
  readers: ['ecg:read'],
  clinicians: ['ecg:read', 'ecg:write', 'cmr:request'],
  operators: ['ops:read', 'ops:write'],
} as const satisfies Readonly<Record<string, readonly Scope[]>>

/** A user pool that the stack makes. Its users are made by an administrator, each with a `custom:tenant` and in groups. */
const CognitoProvider = z.strictObject({
  kind: z.literal('cognito'),
  /** The sign-in page is at `{prefix}.auth.{region}.amazoncognito.com`, which nobody else in the region may have. */
  domainPrefix: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/)
    .refine((prefix) => !/aws|amazon|cognito/.test(prefix), 'aws, amazon and cognito are reserved'),
  mfa: z.enum(['required', 'optional']).default('required'),
  groups: z.record(z.string().regex(/^[\w-]{1,64}$/), z.array(z.enum(SCOPES)).min(1).readonly()).default(GROUPS),
})
export type CognitoProvider = z.infer<typeof CognitoProvider>

/** By which the API knows what came by CloudFront, where a site has one. */
export const FRONT_HEADER = 'x-cardiacnets-front'

/** Of a tenant, and of one subject of it. */
const share = (tenant: number, subject: number) => {
  const Count = z.int().min(1).max(1_000_000)
  return z.strictObject({ tenant: Count.default(tenant), subject: Count.default(subject) }).prefault({})
}

/** What one tenant, and one of its callers, may have of what all share; beyond it the API answers 429. */
export const ApiLimits = z
  .strictObject({
    /** Drawings that are begun: ECG, seed and sampler that nobody asked for before. */
    cinesPerDay: share(1000, 200),
    /** Open at once, of some 50 that a deployed stack serves. */
    streams: share(30, 10),
    uploadsPerMinute: share(1200, 300),
    associationsPerMinute: share(600, 120),
    /** Questions which stretches moved a score: each keeps a function busy for seconds. */
    attributionsPerMinute: share(60, 20),
  })
  .prefault({})
export type ApiLimits = z.infer<typeof ApiLimits>

const Api = z.strictObject({
  identity: z.discriminatedUnion('kind', [CognitoProvider, IdentityProvider]).optional(),
  limits: ApiLimits,
  /**
   * Of what asks for no token: health, description, public keys. It has a throttle of its own, and the EHR's notifications have theirs, so that
   * neither takes from `/v1`.
   */
  openRequestsPerSecond: z.int().min(1).max(10_000).default(10),
  /** Beyond these the front door answers 429 to every caller. */
  requestsPerSecond: z.int().min(1).max(10_000).default(50),
  burst: z.int().min(1).max(5_000).default(100),
})

/** The console's files behind CloudFront, with the API under the same name. */
const Console = z.strictObject({
  /** The site's own name for it; CloudFront's when absent. */
  domain: z
    .strictObject({ name: z.hostname(), certificateArn: z.string().regex(/^arn:[^:]+:acm:us-east-1:/) })
    .optional(),
  /** `create` makes a web ACL, which is possible in us-east-1 only; elsewhere name one that was made there. */
  waf: z.union([z.enum(['create', 'off']), z.string().regex(/^arn:[^:]+:wafv2:us-east-1:/)]).default('off'),
  /** How people sign in; it takes `api.identity`. Absent: nobody can. */
  signIn: z
    .strictObject({
      /** A public client with PKCE, whose redirect address is the console's own, with a slash. Of a user pool, the stack makes it. */
      clientId: z.string().min(1).optional(),
      scope: z.string().min(1).default('openid ecg:read ecg:write cmr:request'),
      idleMinutes: z.int().min(1).max(480).default(15),
      /** Where the provider's token endpoint is, should that not be the issuer's own origin. */
      origins: z.array(z.url({ protocol: /^https$/ })).default([]),
    })
    .optional(),
})

/** Machines that draw cines. They cost nothing while nothing is drawn, their network's endpoints do. */
const Synthesis = z.union([z.literal('off'), z.strictObject({ maxGpus: z.int().min(1).max(64).default(4) })])

/** How long things are kept. Absent: until somebody deletes them. */
const RetentionDays = z.strictObject({
  logs: z.literal(LOG_DAYS).default(90),
  /** Records of who asked for what: of the API, the bucket and the network. */
  accessLogs: z.literal(LOG_DAYS).default(365),
  /** Who read and wrote which ECG; six years, as HIPAA asks of its documentation (45 CFR 164.316). */
  audit: z.literal(LOG_DAYS).default(2192),
  /** ECGs: samples, results, drawings. Not counted from a change, for there is none. */
  ecgs: Days.optional(),
  /** Payloads that were refused, for the maker of the device. Longer than the messages in the intake's DLQ that point at them. */
  rejected: z.int().min(15).max(36_500).default(30),
  /** An ECG's samples after they were overwritten or deleted. */
  supersededRaw: Days.default(30),
})

export const Deployment = z
  .strictObject({
    /** The CloudFormation stack's name. Two sites in one account and region have two: a deployment replaces the stack of its name. */
    stack: z
      .string()
      .regex(/^[A-Za-z][A-Za-z0-9-]{0,62}$/)
      .default('CardiacNets'),
    architecture: z.enum(['arm64', 'x64']).default('arm64'),
    /** Live devices that are expected at once; bounds how many functions run at the same time, and the cost is estimated for them. */
    devices: z.int().min(1).max(10_000_000).default(200),
    tenants: z.array(Name).min(1).default(['local']).refine(isUnique, 'names must differ'),
    /** Zones that the private network spans: each costs its endpoints. */
    zones: z.int().min(1).max(3).default(2),
    gateway: Gateway.prefault({}),
    api: Api.prefault({}),
    /** Absent: no console. */
    console: Console.optional(),
    synthesis: Synthesis.prefault({}),
    retentionDays: RetentionDays.prefault({}),
    alarms: z.strictObject({ email: z.email().optional() }).prefault({}),
  })
  .refine(
    ({ tenants, gateway }) =>
      gateway.adapter?.shards.every((shard) => shard.tenants.every((tenant) => tenants.includes(tenant))) ?? true,
    { path: ['gateway', 'adapter', 'shards'], message: 'a tenant of a shard must be one of the tenants' },
  )
  .refine(({ api, console }) => api.identity?.kind !== 'cognito' || console?.domain !== undefined, {
    path: ['console', 'domain'],
    message: 'a user pool sends people back to the console, which needs a name of its own for that',
  })
  .refine(
    ({ api, console }) =>
      console?.signIn === undefined || api.identity?.kind === 'cognito' || console.signIn.clientId !== undefined,
    { path: ['console', 'signIn', 'clientId'], message: "the console's name at the site's identity provider" },
  )
export type Deployment = z.infer<typeof Deployment>

function isUnique(names: readonly string[]): boolean {
  return new Set(names).size === names.length
}
