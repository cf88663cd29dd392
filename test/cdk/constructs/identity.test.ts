import type { Template } from 'aws-cdk-lib/assertions'
import { beforeAll, describe, expect, it } from 'vitest'
import { checkRules } from '../../../cdk/constructs/nag.ts'
import { parseSiteConfig } from '../../../shared/config/site.ts'
import { freshTemplate } from '../helpers/templates.ts'

const IDENTITY = { kind: 'cognito', domainPrefix: 'ecg-clinic' }
const CONSOLE = {
  domain: { name: 'ecg.clinic.example', certificateArn: 'arn:aws:acm:us-east-1:111122223333:certificate/abc' },
  waf: 'arn:aws:wafv2:us-east-1:111122223333:global/webacl/cardiacnets/a1b2c3d4-5678-90ab-cdef-111122223333',
}
const site = (identity: object, console?: object) =>
  parseSiteConfig(
    JSON.stringify({
      deployment: { tenants: ['clinic'], synthesis: 'off', gateway: { iotCore: true }, api: { identity }, console },
    }),
  )

let template: Template
/** The template as text, with unresolved references. */
let text: string

beforeAll(() => {
  template = freshTemplate({ site: site(IDENTITY, CONSOLE) }, checkRules)
  text = JSON.stringify(template.toJSON())
}, 300_000)

const only = (type: string) => {
  const [found, ...others] = Object.values(template.findResources(type))
  expect(others).toEqual([])
  return found!.Properties
}
const variablesOf = (service: string) =>
  Object.values(template.findResources('AWS::Lambda::Function'))
    .map(({ Properties }) => Properties.Environment?.Variables)
    .find((variables) => variables?.POWERTOOLS_SERVICE_NAME === service)

describe('the stack’s own user pool', () => {
  it('forbids self sign-up, requires a second factor, and is retained', () => {
    expect(only('AWS::Cognito::UserPool')).toMatchObject({
      UserPoolTier: 'ESSENTIALS',
      AdminCreateUserConfig: { AllowAdminCreateUserOnly: true },
      MfaConfiguration: 'ON',
      EnabledMfas: ['SOFTWARE_TOKEN_MFA'],
      DeletionProtection: 'ACTIVE',
      Policies: { PasswordPolicy: { MinimumLength: 12 } },
    })
    template.hasResource('AWS::Cognito::UserPool', { DeletionPolicy: 'Retain' })
  })

  it('calls the sign-in function before each token, with the site’s tenants and groups', () => {
    const { LambdaConfig } = only('AWS::Cognito::UserPool')

    expect(LambdaConfig.PreTokenGenerationConfig).toMatchObject({ LambdaVersion: 'V2_0' })
    const { TENANTS, GROUPS } = variablesOf('sign-in')!
    expect(TENANTS).toBe('clinic')
    expect(JSON.parse(GROUPS)).toMatchObject({ readers: ['ecg:read'], operators: ['ops:read', 'ops:write'] })
    const groups = Object.values(template.findResources('AWS::Cognito::UserPoolGroup'))
    expect(groups.map(({ Properties }) => Properties.GroupName).sort()).toEqual(['clinicians', 'operators', 'readers'])
  })

  it('alone may invoke the sign-in function, which may only write logs and use the network', () => {
    const permissions = Object.values(template.findResources('AWS::Lambda::Permission'))
    const ofPool = permissions.filter(({ Properties }) => Properties.Principal === 'cognito-idp.amazonaws.com')
    expect(ofPool).toHaveLength(1)
    expect(ofPool[0]!.Properties.SourceArn).toBeDefined()
    const policies = Object.entries(template.findResources('AWS::IAM::Policy')).filter(([id]) => /signin/i.test(id))
    const actions = policies.flatMap(([, { Properties }]) =>
      Properties.PolicyDocument.Statement.flatMap(({ Action }: { Action: string | string[] }) => Action),
    )
    expect(actions.every((action) => /^(logs|ec2):/.test(action))).toBe(true)
  })

  it('has a public PKCE client that returns to the console only and cannot change a user’s tenant', () => {
    expect(only('AWS::Cognito::UserPoolClient')).toMatchObject({
      GenerateSecret: false,
      AllowedOAuthFlows: ['code'],
      CallbackURLs: ['https://ecg.clinic.example/'],
      LogoutURLs: ['https://ecg.clinic.example/'],
      EnableTokenRevocation: true,
      PreventUserExistenceErrors: 'ENABLED',
      RefreshTokenRotation: { Feature: 'ENABLED' },
      WriteAttributes: ['email'],
    })
  })

  it('issues the tokens that the API accepts, and signs users of the console in', () => {
    const [poolId] = Object.keys(template.findResources('AWS::Cognito::UserPool'))
    const [clientId] = Object.keys(template.findResources('AWS::Cognito::UserPoolClient'))
    const api = JSON.stringify(variablesOf('api'))
    const { CONSOLE_SIGN_IN, AUTH_AUDIENCE, AUTH_TENANTS } = variablesOf('api')!

    expect(JSON.stringify(variablesOf('api')!.AUTH_ISSUER)).toContain(poolId)
    expect(AUTH_AUDIENCE).toEqual({ Ref: clientId })
    expect(AUTH_TENANTS).toBe('clinic')
    expect(JSON.stringify(CONSOLE_SIGN_IN)).toContain('openid email')
    expect(api).toContain('/.well-known/jwks.json')
    template.hasResourceProperties('AWS::ApiGatewayV2::Route', {
      RouteKey: 'ANY /v1/{proxy+}',
      AuthorizationType: 'JWT',
    })
    const policies = Object.values(template.findResources('AWS::CloudFront::ResponseHeadersPolicy'))
    expect(policies).toHaveLength(2)
    for (const policy of policies.map((each) => JSON.stringify(each))) {
      expect(policy).toContain('https://ecg-clinic.auth.')
      expect(policy).toContain('https://cognito-idp.')
    }
    expect(text).not.toContain('UNAUTHENTICATED')
  })
})

describe('the identity settings of a site', () => {
  it.each([
    ['has no domain for its console', IDENTITY, { waf: 'off' }, 'domain'],
    ['has no console', IDENTITY, undefined, 'domain'],
    ['uses a reserved name', { ...IDENTITY, domainPrefix: 'my-cognito' }, CONSOLE, 'domainPrefix'],
    ['gives a group an unknown scope', { ...IDENTITY, groups: { a: ['all'] } }, CONSOLE, 'groups'],
    ['also names an issuer', { ...IDENTITY, issuer: 'https://id.example/' }, CONSOLE, 'identity'],
  ])('are refused by field when the site %s', (_, identity, console, field) => {
    expect(() => site(identity, console)).toThrow(field)
  })

  it('can give groups other scopes', () => {
    const { deployment } = site({ ...IDENTITY, groups: { ward: ['ecg:read', 'ops:read'] } }, CONSOLE)

    expect(deployment.api.identity).toMatchObject({ groups: { ward: ['ecg:read', 'ops:read'] }, mfa: 'required' })
  })
})
