/**
 * A site's configuration: its EHR and how we authenticate to it, what is written into the chart, and how the site is deployed. One JSON
 * document without secrets; it names where each secret is stored. A deployment reads it at synth (`-c site=NAME|FILE`), a function from
 * `SITE_CONFIG`.
 * @module
 */
import { readFileSync } from 'node:fs'
import * as z from 'zod'
import { CONDITION_IDS } from '../domain/conditions.ts'
import { CodedError } from '../errors.ts'
import { Name } from '../messages.ts'
import { Deployment, KeyArn } from './deployment.ts'

const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]']

/** https, or plain http to this machine only. No credentials, query or fragment, which do not belong in an address. */
const ServerUrl = z.url({ protocol: /^https?$/ }).refine((text) => {
  const url = new URL(text)
  const isSafe = url.protocol === 'https:' || LOOPBACK.includes(url.hostname)
  return isSafe && url.username === '' && url.password === '' && url.search === '' && url.hash === ''
}, 'must be https (http on this machine only), without credentials, query or fragment')

/** Where a secret is stored: in AWS Secrets Manager, or in a file on a local machine. */
const SecretSource = z.union([
  /**
   * `keyArn`: the KMS key that encrypts the secret, unless it is the default key of AWS Secrets Manager. Its policy must allow our
   * functions.
   */
  z.strictObject({ secretArn: z.string().startsWith('arn:'), keyArn: KeyArn.optional() }),
  z.strictObject({ file: z.string().min(1) }),
])
export type SecretSource = z.infer<typeof SecretSource>

/** SMART Backend Services (HL7 SMART App Launch 2): a signed assertion is exchanged for a token. */
const SmartBackend = z.strictObject({
  kind: z.literal('smart-backend'),
  clientId: z.string().min(1),
  /** Private key as a JWK or PEM. */
  key: SecretSource,
  /** `kid` of the key in our JWKS. */
  keyId: z.string().min(1),
  algorithm: z.enum(['ES384', 'RS384']).default('ES384'),
  scope: z.string().default('system/*.read system/*.write'),
  /** Read from the server's `.well-known/smart-configuration` when absent. */
  tokenUrl: ServerUrl.optional(),
})

/** LOINC codes of an EKG study and of a 12-lead EKG panel. */
const ECG_LOINC = ['http://loinc.org|11524-6', 'http://loinc.org|34534-8']

const Ehr = z.strictObject({
  /** Short, and never changed: it is part of the origin of every ECG that comes from this server. */
  id: Name.default('ehr'),
  /** Tenant that the server's ECGs belong to. */
  tenant: Name.default('local'),
  /**
   * Tenants whose results may be written into the EHR's charts, and whose devices may be associated with its patients. Absent: only
   * `tenant`.
   */
  reportingTenants: z.array(Name).optional(),
  /** FHIR R4 base URL, e.g. `https://ehr.example/fhir/R4`. Nothing outside its origin (and `tokenUrl`) is ever fetched. */
  baseUrl: ServerUrl,
  auth: z.discriminatedUnion('kind', [z.strictObject({ kind: z.literal('none') }), SmartBackend]),
  timeoutMs: z.int().min(100).max(60_000).default(5_000),
  /** Which resources hold ECGs, as criteria of a Subscription. The poll uses the same criteria. */
  criteria: z
    .array(z.string().regex(/^(Observation|DocumentReference|DiagnosticReport|Media)\?[^\s?]+$/))
    .min(1)
    .default([
      `Observation?code=${[...ECG_LOINC, 'urn:iso:std:iso:11073:10101|131328', 'urn:oid:2.16.840.1.113883.6.24|131328'].join()}`,
      `DocumentReference?type=${ECG_LOINC.join()}`,
      `DiagnosticReport?code=${ECG_LOINC.join()}`,
    ]),
  subscription: z
    .strictObject({
      /** Secret that the server must send with each notification, in the header `x-cardiacnets-secret`. */
      secret: SecretSource,
      /** URL at which the server reaches us, without `/fhir`. */
      ourUrl: ServerUrl,
    })
    .optional(),
})

/** When a live session is reported: at its end, and before that when a change lasts. Never one report per window. */
const SessionRule = z.strictObject({
  /**
   * A session ends after this many seconds without a result. Longer than any gap within a session: a late window makes another revision.
   */
  silenceS: z.int().min(20).max(86_400).default(120),
  /** A change counts after this many consecutive screened windows with the condition flagged (or no longer flagged); 12 are two minutes. */
  sustainedWindows: z.int().min(2).max(360).default(12),
  /** Least time between two reports of a change, s. A change that comes sooner waits. */
  changeIntervalS: z.int().min(60).max(86_400).default(900),
  /** Conditions whose change is reported at once; changes of the others are reported at the end of the session. */
  watch: z.array(z.enum(CONDITION_IDS)).default([...CONDITION_IDS]),
})

const ReportRules = z.strictObject({
  /** Whether values learned from simulated people (`evidence: virtual`) may be written into a chart. */
  virtual: z.boolean().default(false),
  session: SessionRule.prefault({}),
})

export const SiteConfig = z.strictObject({
  /** Absent: there is no EHR, and results are not reported. */
  ehr: Ehr.optional(),
  report: ReportRules.prefault({}),
  /** Not passed to functions. */
  deployment: Deployment.prefault({}),
})
export type SiteConfig = z.infer<typeof SiteConfig>
export type EhrConfig = z.infer<typeof Ehr>
export type SessionRule = z.infer<typeof SessionRule>

/** Tenants whose results may be written into the EHR: those that the site lists, otherwise the EHR's own. No others are ever reported. */
export function reportingTenants({ tenant, reportingTenants: listed }: EhrConfig): ReadonlySet<string> {
  return new Set(listed ?? [tenant])
}

/**
 * Checks that every tenant in the EHR's part is a tenant of the site. Only a deployment can check this: functions do not get `deployment`.
 * @throws CodedError `site-config-invalid` naming the field
 */
export function checkTenants({ ehr, deployment }: SiteConfig): void {
  if (ehr === undefined) return
  const expected = 'one of site.deployment.tenants'
  if (!deployment.tenants.includes(ehr.tenant)) {
    throw new CodedError('site-config-invalid', { field: 'site.ehr.tenant', expected })
  }
  const stranger = ehr.reportingTenants?.findIndex((tenant) => !deployment.tenants.includes(tenant)) ?? -1
  if (stranger >= 0) {
    throw new CodedError('site-config-invalid', { field: `site.ehr.reportingTenants.${stranger}`, expected })
  }
}

/**
 * Parses a site's configuration.
 * @param text JSON
 * @throws CodedError `site-config-invalid` naming the field, never its value
 */
export function parseSiteConfig(text: string): SiteConfig {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new CodedError('site-config-invalid', { field: 'site' })
  }
  const parsed = SiteConfig.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const field = ['site', ...(issue?.path ?? [])].join('.')
  throw new CodedError('site-config-invalid', { field, expected: issue?.message })
}

/**
 * The configuration of this process: from `SITE_CONFIG` (JSON), else the file that `SITE_CONFIG_FILE` names, else the defaults.
 * @throws CodedError `site-config-invalid`, `file-not-found`
 */
export function readSiteConfig(environment: NodeJS.ProcessEnv = process.env): SiteConfig {
  const { SITE_CONFIG: inline, SITE_CONFIG_FILE: file } = environment
  if (inline) return parseSiteConfig(inline)
  return file ? readSiteConfigFile(file) : parseSiteConfig('{}')
}

/**
 * Reads a site's configuration from a file.
 * @throws CodedError `site-config-invalid`, `file-not-found`
 */
export function readSiteConfigFile(path: string): SiteConfig {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new CodedError('file-not-found', { field: 'site' }, { cause })
  }
  return parseSiteConfig(text)
}
