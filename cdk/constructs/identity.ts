/**
 * A user pool for sites without an identity provider: hosted sign-in, groups with scopes, and the tenant as a claim.
 * @module
 */
import { Aws, Duration, RemovalPolicy } from 'aws-cdk-lib'
import * as cognito from 'aws-cdk-lib/aws-cognito'
import type * as lambda from 'aws-cdk-lib/aws-lambda'
import { Construct } from 'constructs'
import type { CognitoProvider, Deployment, IdentityProvider } from '../../shared/config/deployment.ts'
import { type FunctionDefaults, lambdaFunction } from './lambda-function.ts'
import { acknowledge } from './nag.ts'
import type { Network } from './network.ts'

export interface IdentityProps {
  readonly defaults: FunctionDefaults
  readonly network: Network
  readonly provider: CognitoProvider
  readonly tenants: Deployment['tenants']
  /** Redirect address after sign-in, with a trailing slash. */
  readonly consoleUrl: string
}

/** Concurrent sign-ins and renewals; each takes milliseconds. */
const CONCURRENCY = 10

export class Identity extends Construct {
  readonly provider: IdentityProvider
  readonly clientId: string
  /** Origins that the page calls, for its Content-Security-Policy. */
  readonly origins: readonly string[]

  constructor(scope: Construct, id: string, { defaults, network, provider, tenants, consoleUrl }: IdentityProps) {
    super(scope, id)
    const { domainPrefix, groups, mfa } = provider
    const pool = new cognito.UserPool(this, 'users', {
      // Triggers that change access tokens need this plan.
      featurePlan: cognito.FeaturePlan.ESSENTIALS,
      selfSignUpEnabled: false,
      signInAliases: { email: true },
      signInCaseSensitive: false,
      accountRecovery: cognito.AccountRecovery.EMAIL_ONLY,
      passwordPolicy: {
        minLength: 12,
        requireDigits: true,
        requireLowercase: true,
        requireUppercase: true,
        requireSymbols: true,
        tempPasswordValidity: Duration.days(3),
      },
      mfa: mfa === 'required' ? cognito.Mfa.REQUIRED : cognito.Mfa.OPTIONAL,
      // Text messages can be intercepted.
      mfaSecondFactor: { otp: true, sms: false },
      customAttributes: { tenant: new cognito.StringAttribute({ minLen: 1, maxLen: 128, mutable: true }) },
      deletionProtection: true,
      removalPolicy: RemovalPolicy.RETAIN,
    })
    const trigger = lambdaFunction(this, defaults, {
      name: 'sign-in',
      bundle: 'sign-in',
      memoryMb: 256,
      // Cognito's time limit.
      timeout: Duration.seconds(5),
      concurrency: CONCURRENCY,
      network,
      environment: { TENANTS: tenants.join(), GROUPS: JSON.stringify(groups) },
    })
    pool.addTrigger(
      cognito.UserPoolOperation.PRE_TOKEN_GENERATION_CONFIG,
      trigger as lambda.IFunction, // CDK's classes and interfaces differ in `undefined`
      cognito.LambdaVersion.V2_0,
    )
    for (const groupName of Object.keys(groups)) pool.addGroup(groupName, { groupName })
    pool.addDomain('domain', { cognitoDomain: { domainPrefix } })
    const client = pool.addClient('console', {
      generateSecret: false,
      authFlows: {},
      oAuth: {
        flows: { authorizationCodeGrant: true },
        scopes: [cognito.OAuthScope.OPENID, cognito.OAuthScope.EMAIL],
        callbackUrls: [consoleUrl],
        logoutUrls: [consoleUrl],
      },
      supportedIdentityProviders: [cognito.UserPoolClientIdentityProvider.COGNITO],
      accessTokenValidity: Duration.minutes(15),
      idTokenValidity: Duration.minutes(15),
      refreshTokenValidity: Duration.hours(8),
      refreshTokenRotationGracePeriod: Duration.seconds(10),
      enableTokenRevocation: true,
      preventUserExistenceErrors: true,
      readAttributes: new cognito.ClientAttributes().withStandardAttributes({ email: true }),
      // A user cannot change their own tenant.
      writeAttributes: new cognito.ClientAttributes().withStandardAttributes({ email: true }),
    })
    acknowledge(pool, {
      'AwsSolutions-COG3': 'Threat protection is of the plan Plus; a second factor is asked of everybody here',
      'AwsSolutions-COG8':
        'Essentials has what this stack needs; threat protection of Plus costs more than the rest of a clinic',
      ...(mfa === 'optional' && { 'AwsSolutions-COG2': 'The site leaves the second factor to each user' }),
    })
    const issuer = `https://cognito-idp.${Aws.REGION}.${Aws.URL_SUFFIX}/${pool.userPoolId}`
    this.clientId = client.userPoolClientId
    this.origins = [
      `https://cognito-idp.${Aws.REGION}.${Aws.URL_SUFFIX}`,
      `https://${domainPrefix}.auth.${Aws.REGION}.amazoncognito.com`,
    ]
    this.provider = {
      kind: 'oidc',
      issuer,
      audience: this.clientId,
      jwksUrl: `${issuer}/.well-known/jwks.json`,
      tenantClaim: 'tenant',
      isCheckedAtGateway: true,
    }
  }
}
