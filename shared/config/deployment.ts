/**
 * Deployment part of a site's configuration: size, optional parts of the stack, and retention. Only a deployment reads it.
 * @module
 */
import * as z from 'zod'
import { DEVICE_RESULTS } from '../domain/result-summary.ts'
import { Name } from '../messages.ts'
import { DeviceLimits } from './device-limits.ts'
import { SCOPES, type Scope } from './scopes.ts'

const SecretArn = z.string().startsWith('arn:')

/** ARN of a KMS key of the customer's own. */
export const KeyArn = z.string().regex(/^arn:[^:]+:kms:[^:]+:\d{12}:key\/[\w-]+$/)

/** Retention periods that CloudWatch Logs accepts, days. */
const LOG_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
] as const

const Days = z.int().min(1).max(36_500)

/**
 * How the adapter authenticates to the broker. The secret is a JSON object in AWS Secrets Manager. The broker's operator keeps it,
 * encrypted under the default key or `keyArn`.
 */
const BrokerAuth = z.discriminatedUnion('kind', [
  /** `{"username": …, "password": …}` */
  z.strictObject({ kind: z.literal('password'), secretArn: SecretArn, keyArn: KeyArn.optional() }),
  /** `{"certificate": PEM, "key": PEM}`; the only kind that AWS IoT Core supports. */
  z.strictObject({ kind: z.literal('certificate'), secretArn: SecretArn, keyArn: KeyArn.optional() }),
])

/** One adapter with its own machine and journal, for the frames of some tenants. */
const Shard = z.strictObject({
  /** Short, and never changed: it names the adapter's session at the broker and its volume. */
  id: z.string().regex(/^[a-z0-9]{1,7}$/),
  tenants: z.array(Name).min(1),
})
export type Shard = z.infer<typeof Shard>

/** A shard's `MQTT_CLIENT_ID`. It names the session at the broker and is the dimension of the adapter's metrics. */
export const adapterName = ({ id }: Shard) => `ecg-${id}`

const Adapter = z.strictObject({
  /** TLS only, because ECGs are transmitted. */
  brokerUrl: z.url({ protocol: /^(mqtts|wss)$/ }),
  /** 4 is MQTT 3.1.1. */
  mqttVersion: z.union([z.literal(4), z.literal(5)]).default(5),
  auth: BrokerAuth,
  /** Connections per adapter. A broker may limit the rate of one connection (AWS IoT Core: 100 messages/s). */
  connections: z.int().min(1).max(64).default(1),
  /** Limits of one device and of one tenant. */
  limits: DeviceLimits,
  shards: z
    .array(Shard)
    .min(1)
    .refine((shards) => isUnique(shards.map(({ id }) => id)), 'ids must differ')
    .refine((shards) => isUnique(shards.flatMap(({ tenants }) => tenants)), 'a tenant belongs to one shard'),
})
export type AdapterDeployment = z.infer<typeof Adapter>

/** How devices connect. A site that takes ECGs only from files and the EHR has neither. */
const Gateway = z.strictObject({
  /** AWS IoT Core as the devices' broker. */
  iotCore: z.boolean().default(false),
  /** Assembles windows from frames that arrive through IoT Core or through the site's own broker. */
  adapter: Adapter.optional(),
  /** Form of the results that devices get: `summary` fits one message of IoT Core and leaves out most of the 82 indices. */
  results: z.enum(DEVICE_RESULTS).default('whole'),
  /** Lets devices publish their windows directly to IoT Core's rule (Basic Ingest), which saves the cost of messages. */
  basicIngest: z.boolean().default(false),
})

/** Who signs the tokens of API callers. Without an identity provider, a deployed API refuses every caller. */
const IdentityProvider = z.strictObject({
  kind: z.literal('oidc').optional(),
  issuer: z.url({ protocol: /^https$/ }),
  audience: z.string().min(1),
  jwksUrl: z.url({ protocol: /^https$/ }),
  /** Claim that names a caller's tenant. */
  tenantClaim: z.string().min(1).default('tenant'),
  /**
   * Whether API Gateway checks tokens before the app does. It supports only RSA and reads the keys through the issuer's discovery document.
   * For a provider without either, set this to false; then only the app checks.
   */
  isCheckedAtGateway: z.boolean().default(true),
})
export type IdentityProvider = z.infer<typeof IdentityProvider>

/** Default scopes of the groups of a user pool. */
const GROUPS = {
  readers: ['ecg:read'],
  clinicians: ['ecg:read', 'ecg:write', 'cmr:request'],
  operators: ['ops:read', 'ops:write'],
} as const satisfies Readonly<Record<string, readonly Scope[]>>

/** A user pool that the stack creates. An administrator creates its users, each with a `custom:tenant` and in groups. */
const CognitoProvider = z.strictObject({
  kind: z.literal('cognito'),
  /** The sign-in page is at `{prefix}.auth.{region}.amazoncognito.com`. The prefix must be unique in the region. */
  domainPrefix: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/)
    .refine((prefix) => !/aws|amazon|cognito/.test(prefix), 'aws, amazon and cognito are reserved'),
  mfa: z.enum(['required', 'optional']).default('required'),
  groups: z.record(z.string().regex(/^[\w-]{1,64}$/), z.array(z.enum(SCOPES)).min(1).readonly()).default(GROUPS),
})
export type CognitoProvider = z.infer<typeof CognitoProvider>

/** Header by which the API recognises requests that came through CloudFront, where a site has one. */
export const FRONT_HEADER = 'x-cardiacnets-front'

/** Limits of one tenant and of one subject in it. */
const share = (tenant: number, subject: number) => {
  const Count = z.int().min(1).max(1_000_000)
  return z.strictObject({ tenant: Count.default(tenant), subject: Count.default(subject) }).prefault({})
}

/** Limits of one tenant and of one of its callers on shared resources. Above a limit the API answers 429. */
export const ApiLimits = z
  .strictObject({
    /** New drawings: a combination of ECG, seed and sampler that was not requested before. */
    cinesPerDay: share(1000, 200),
    /** Streams open at the same time, of about 50 that a deployed stack supports. */
    streams: share(30, 10),
    uploadsPerMinute: share(1200, 300),
    associationsPerMinute: share(600, 120),
    /** Requests for attributions. Each keeps a function busy for seconds. */
    attributionsPerMinute: share(60, 20),
  })
  .prefault({})
export type ApiLimits = z.infer<typeof ApiLimits>

const Api = z.strictObject({
  identity: z.discriminatedUnion('kind', [CognitoProvider, IdentityProvider]).optional(),
  limits: ApiLimits,
  /**
   * Rate of requests without a token: health, description, public keys. They have their own throttle, and so do the EHR's notifications, so
   * that neither uses up the rate of `/v1`.
   */
  openRequestsPerSecond: z.int().min(1).max(10_000).default(10),
  /** Above these rates API Gateway answers 429 to every caller. */
  requestsPerSecond: z.int().min(1).max(10_000).default(50),
  burst: z.int().min(1).max(5_000).default(100),
})

/** The console's files behind CloudFront, with the API under the same host name. */
const Console = z.strictObject({
  /** The site's own host name for the console; CloudFront's when absent. */
  domain: z
    .strictObject({ name: z.hostname(), certificateArn: z.string().regex(/^arn:[^:]+:acm:us-east-1:/) })
    .optional(),
  /** `create` makes a web ACL, which is possible in us-east-1 only; in other regions, name an ACL that was created there. */
  waf: z.union([z.enum(['create', 'off']), z.string().regex(/^arn:[^:]+:wafv2:us-east-1:/)]).default('off'),
  /** How people sign in; requires `api.identity`. Absent: nobody can sign in. */
  signIn: z
    .strictObject({
      /**
       * A public client with PKCE whose redirect address is the console's own, with a trailing slash. With a user pool, the stack creates
       * it.
       */
      clientId: z.string().min(1).optional(),
      scope: z.string().min(1).default('openid ecg:read ecg:write cmr:request'),
      idleMinutes: z.int().min(1).max(480).default(15),
      /** Origins of the provider's token endpoint, where they differ from the issuer's. */
      origins: z.array(z.url({ protocol: /^https$/ })).default([]),
    })
    .optional(),
})

/** GPU machines that draw cines. They cost nothing while idle, but their network endpoints do. */
const Synthesis = z.union([z.literal('off'), z.strictObject({ maxGpus: z.int().min(1).max(64).default(4) })])

/** Retention, days. Absent: kept until somebody deletes it. */
const RetentionDays = z.strictObject({
  logs: z.literal(LOG_DAYS).default(90),
  /** Access logs: of the API, the bucket and the network. */
  accessLogs: z.literal(LOG_DAYS).default(365),
  /** Audit log: who read and wrote which ECG. Six years, as HIPAA requires of its documentation (45 CFR 164.316). */
  audit: z.literal(LOG_DAYS).default(2192),
  /** ECGs: samples, results, drawings. Counted from creation, because they never change. */
  ecgs: Days.optional(),
  /** Refused payloads, kept for the device's manufacturer. Longer than the messages in the intake's DLQ that refer to them. */
  rejected: z.int().min(15).max(36_500).default(30),
  /** Samples of an ECG after they were overwritten or deleted. */
  supersededRaw: Days.default(30),
})

export const Deployment = z
  .strictObject({
    /**
     * Name of the CloudFormation stack. Two sites in one account and region need two names: a deployment replaces the stack of its name.
     */
    stack: z
      .string()
      .regex(/^[A-Za-z][A-Za-z0-9-]{0,62}$/)
      .default('CardiacNets'),
    architecture: z.enum(['arm64', 'x64']).default('arm64'),
    /** Expected number of live devices at the same time. It limits the concurrency of functions and is the base of the cost estimate. */
    devices: z.int().min(1).max(10_000_000).default(200),
    tenants: z.array(Name).min(1).default(['local']).refine(isUnique, 'names must differ'),
    /** Availability zones of the private network. Each one adds the cost of its endpoints. */
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
