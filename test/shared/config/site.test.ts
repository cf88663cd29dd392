import { describe, expect, it } from 'vitest'
import { checkTenants, parseSiteConfig, readSiteConfig, reportingTenants } from '../../../shared/config/site.ts'
import { codedError } from '../../helpers/errors.ts'

const smart = {
  kind: 'smart-backend',
  clientId: 'cardiacnets',
  key: { secretArn: 'arn:aws:secretsmanager:eu-central-1:1:secret:key' },
  keyId: 'k1',
}

describe('parseSiteConfig', () => {
  it('defaults to no EHR and no findings learned from simulated people', () => {
    const config = readSiteConfig({})

    expect(config.ehr).toBeUndefined()
    expect(config.report.virtual).toBe(false)
    expect(config.report.session).toMatchObject({ silenceS: 120, sustainedWindows: 12 })
  })

  it('reads the EHR and the location of our key', () => {
    const ehr = { baseUrl: 'https://ehr.example/fhir/R4', auth: smart }

    const config = readSiteConfig({ SITE_CONFIG: JSON.stringify({ ehr }) })

    expect(config.ehr).toMatchObject({ id: 'ehr', baseUrl: ehr.baseUrl, auth: { algorithm: 'ES384' }, timeoutMs: 5000 })
  })

  it.each([
    ['text that is not JSON', '{', 'site'],
    ['an unknown field', '{"reprot":{}}', 'site'],
    [
      'plain HTTP to a remote EHR',
      '{"ehr":{"baseUrl":"http://ehr.example/fhir","auth":{"kind":"none"}}}',
      'site.ehr.baseUrl',
    ],
    [
      'credentials in the URL',
      '{"ehr":{"baseUrl":"https://a:b@ehr.example","auth":{"kind":"none"}}}',
      'site.ehr.baseUrl',
    ],
    [
      'a secret where its source is expected',
      JSON.stringify({ ehr: { baseUrl: 'https://e.example', auth: { ...smart, key: 's3cr3t' } } }),
      'site.ehr.auth.key',
    ],
    ['an unknown field in the deployment', '{"deployment":{"device":3}}', 'site.deployment'],
    [
      'an unencrypted broker address',
      '{"deployment":{"gateway":{"adapter":{"brokerUrl":"mqtt://b.example","auth":{"kind":"password","secretArn":"arn:s3cr3t"},"shards":[{"id":"a","tenants":["local"]}]}}}}',
      'site.deployment.gateway.adapter.brokerUrl',
    ],
    [
      'keys of the API that come by plain http',
      '{"deployment":{"api":{"identity":{"issuer":"https://i.example","audience":"a","jwksUrl":"http://i.example/keys"}}}}',
      'site.deployment.api.identity.jwksUrl',
    ],
    ['a session that ends at once', '{"report":{"session":{"silenceS":1}}}', 'site.report.session.silenceS'],
  ])('refuses %s and names the field, not its value', (_, text, field) => {
    const error = codedError(() => parseSiteConfig(text))

    expect(error).toMatchObject({ code: 'site-config-invalid', detail: { field } })
    expect(error.message).not.toMatch(/s3cr3t|a:b/)
  })

  it('reads the adapter’s limits per device and per tenant', () => {
    const shards = [{ id: 'a', tenants: ['local'] }]
    const adapter = { brokerUrl: 'mqtts://b.example', auth: { kind: 'password', secretArn: 'arn:1' }, shards }
    const limits = { device: { sessions: { burst: 10 } }, tenant: { journalShare: 0.3 } }
    const site = parseSiteConfig(JSON.stringify({ deployment: { gateway: { adapter: { ...adapter, limits } } } }))

    expect(site.deployment.gateway.adapter?.limits).toMatchObject({
      device: { sessions: { perSecond: 0.1, burst: 10 }, journalShare: 0.25 },
      tenant: { journalShare: 0.3 },
    })
  })

  it('requires that each tenant exists and has exactly one adapter', () => {
    const parse = (...shards: readonly object[]) => {
      const adapter = { brokerUrl: 'mqtts://b.example', auth: { kind: 'password', secretArn: 'arn:1' }, shards }
      return parseSiteConfig(JSON.stringify({ deployment: { tenants: ['a', 'b'], gateway: { adapter } } }))
    }

    expect(codedError(() => parse({ id: '1', tenants: ['a'] }, { id: '2', tenants: ['a'] })).message).toMatch('shards')
    expect(codedError(() => parse({ id: '1', tenants: ['c'] })).message).toMatch('shards')
    expect(parse({ id: '1', tenants: ['a', 'b'] }).deployment.devices).toBe(200)
  })

  it('refuses a missing file', () => {
    const error = codedError(() => readSiteConfig({ SITE_CONFIG_FILE: '/nowhere/site.json' }))

    expect(error.code).toBe('file-not-found')
  })
})

describe('the tenants that may report to the EHR', () => {
  const ehr = { tenant: 'clinic', baseUrl: 'https://ehr.example/fhir', auth: { kind: 'none' } }
  const parse = (changes: object, tenants = ['clinic', 'ward']) =>
    parseSiteConfig(JSON.stringify({ ehr: { ...ehr, ...changes }, deployment: { tenants } }))

  it('default to the EHR’s own tenant, and are otherwise exactly those listed', () => {
    expect([...reportingTenants(parse({}).ehr!)]).toEqual(['clinic'])
    expect([...reportingTenants(parse({ reportingTenants: ['ward'] }).ehr!)]).toEqual(['ward'])
  })

  it.each([
    ['site.ehr.tenant', {}, ['ward']],
    ['site.ehr.reportingTenants.1', { reportingTenants: ['clinic', 'nobody'] }, ['clinic', 'ward']],
  ])('must be tenants of the site (%s)', (field, changes, tenants) => {
    const error = codedError(() => checkTenants(parse(changes, tenants)))

    expect(error).toMatchObject({ code: 'site-config-invalid', detail: { field } })
  })
})
