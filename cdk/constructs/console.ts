/**
 * The console's files behind CloudFront, and the API under the same name. A web ACL protects both, because API Gateway's HTTP APIs do not
 * support one.
 *
 * The API's own addresses refuse requests that do not come this way: each request carries a secret that only CloudFront and the API have.
 * @module
 */
import { Aws, CfnRule, Duration, Fn, RemovalPolicy, Stack } from 'aws-cdk-lib'
import * as acm from 'aws-cdk-lib/aws-certificatemanager'
import * as cloudfront from 'aws-cdk-lib/aws-cloudfront'
import * as origins from 'aws-cdk-lib/aws-cloudfront-origins'
import * as s3 from 'aws-cdk-lib/aws-s3'
import * as wafv2 from 'aws-cdk-lib/aws-wafv2'
import { Construct } from 'constructs'
import { CONSOLE_CACHING, CONSOLE_HEADERS, consolePolicy } from '../../shared/config/console-headers.ts'
import { type Deployment, FRONT_HEADER } from '../../shared/config/deployment.ts'
import { type LogDefaults, logGroup } from './log-group.ts'
import { acknowledge } from './nag.ts'
import type { Storage } from './storage.ts'

export interface ConsoleProps {
  readonly console: NonNullable<Deployment['console']>
  readonly storage: Storage
  readonly log: LogDefaults
  readonly apiUrl: string
  /** Origins that the page calls for a sign-in. */
  readonly signInAt: readonly string[]
  readonly eventsUrl: string
  /** Secret that the API requires in each request. */
  readonly front: string | undefined
}

/** Paths of the API; all others belong to the console. */
const API_PATHS = ['/v1/*', '/fhir/*', '/healthz', '/openapi.json', '/console.json']

/** Most requests from one address in five minutes. */
const REQUESTS = 2000

/**
 * Rule groups of AWS. Some rules only count and do not block: those on bodies, because ECGs are larger than allowed and their bytes match
 * anything; on queries of more than 2,048 bytes; and on callers without a User-Agent, such as EHRs that send notifications.
 */
const RULES: readonly { readonly name: string; readonly counted: readonly string[] }[] = [
  { name: 'AWSManagedRulesAmazonIpReputationList', counted: [] },
  {
    name: 'AWSManagedRulesCommonRuleSet',
    counted: ['SizeRestrictions_BODY', 'SizeRestrictions_QUERYSTRING', 'CrossSiteScripting_BODY', 'NoUserAgent_HEADER'],
  },
  { name: 'AWSManagedRulesKnownBadInputsRuleSet', counted: [] },
]

export class Console extends Construct {
  readonly url: string
  readonly bucket: s3.Bucket

  constructor(
    scope: Construct,
    id: string,
    { console, storage, log, apiUrl, eventsUrl, signInAt, front }: ConsoleProps,
  ) {
    super(scope, id)
    this.bucket = new s3.Bucket(this, 'console', {
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      encryption: s3.BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      versioned: true,
      serverAccessLogsBucket: storage.accessLogs as s3.IBucket,
      serverAccessLogsPrefix: 'console/',
      removalPolicy: RemovalPolicy.RETAIN,
      lifecycleRules: [{ noncurrentVersionExpiration: Duration.days(30) }],
    })
    acknowledge(this.bucket, {
      'HIPAA.Security-S3BucketReplicationEnabled': 'The console is built from this repository; nothing else lies here',
      'HIPAA.Security-S3DefaultEncryptionKMS': 'The console is public, and no ECG lies here',
    })
    const api = this.#behavior(apiUrl, front)
    const files = {
      origin: origins.S3BucketOrigin.withOriginAccessControl(this.bucket as s3.IBucket),
      viewerProtocolPolicy: cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
    }
    const { domain, waf } = console
    const webAclId = waf === 'create' ? this.#webAcl(log) : waf
    const distribution = new cloudfront.Distribution(this, 'front', {
      comment: 'CardiacNets: console and API',
      defaultRootObject: 'index.html',
      // CloudFront's default policy caches a page for a day; after an update it would refer to files that no longer exist.
      defaultBehavior: { ...files, ...this.#kept('page', signInAt, cloudfront.CachePolicy.CACHING_DISABLED) },
      // Event streams go through CloudFront, because API Gateway cannot stream.
      additionalBehaviors: {
        '/assets/*': { ...files, ...this.#kept('assets', signInAt, cloudfront.CachePolicy.CACHING_OPTIMIZED) },
        '/v1/events': this.#behavior(eventsUrl, front),
        ...Object.fromEntries(API_PATHS.map((path) => [path, api])),
      },
      minimumProtocolVersion: cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
      enableLogging: true,
      logBucket: storage.accessLogs as s3.IBucket,
      logFilePrefix: 'front/',
      ...(domain === undefined
        ? {}
        : {
            domainNames: [domain.name],
            certificate: acm.Certificate.fromCertificateArn(this, 'certificate', domain.certificateArn),
          }),
      ...(webAclId === 'off' ? {} : { webAclId }),
    })
    acknowledge(distribution, {
      'AwsSolutions-CFR1':
        'Whose ECGs may be seen where is decided by tokens; a web ACL of the site may restrict countries',
      'AwsSolutions-CFR4':
        'TLS 1.2 to the origins and, with a domain, to viewers; without one CloudFront’s own certificate decides',
      ...(webAclId === 'off' && { 'AwsSolutions-CFR2': 'The site wants none' }),
    })
    this.url = `https://${domain?.name ?? distribution.distributionDomainName}`
  }

  /** Caching of files by CloudFront and browsers, with the same policy as locally. The page may also call the identity provider. */
  #kept(kind: keyof typeof CONSOLE_CACHING, signInAt: readonly string[], cachePolicy: cloudfront.ICachePolicy) {
    const headers = { ...CONSOLE_HEADERS, 'cache-control': CONSOLE_CACHING[kind] }
    const responseHeadersPolicy = new cloudfront.ResponseHeadersPolicy(this, `${kind}-headers`, {
      securityHeadersBehavior: {
        contentSecurityPolicy: { contentSecurityPolicy: consolePolicy(signInAt), override: true },
        contentTypeOptions: { override: true },
        referrerPolicy: { referrerPolicy: cloudfront.HeadersReferrerPolicy.NO_REFERRER, override: true },
        strictTransportSecurity: { accessControlMaxAge: Duration.days(365), override: true },
      },
      customHeadersBehavior: {
        customHeaders: Object.entries(headers)
          .filter(([header]) => header !== 'x-content-type-options' && header !== 'referrer-policy')
          .map(([header, value]) => ({ header, value, override: true })),
      },
    })
    return { cachePolicy, responseHeadersPolicy }
  }

  /** Requests are passed on unchanged and never cached. */
  #behavior(url: string, front: string | undefined): cloudfront.BehaviorOptions {
    const host = Fn.select(2, Fn.split('/', url))
    return {
      origin: new origins.HttpOrigin(host, {
        protocolPolicy: cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
        originSslProtocols: [cloudfront.OriginSslPolicy.TLS_V1_2],
        // CloudFront removes a header of this name that a viewer sends.
        ...(front === undefined ? {} : { customHeaders: { [FRONT_HEADER]: front } }),
      }),
      viewerProtocolPolicy: cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
      allowedMethods: cloudfront.AllowedMethods.ALLOW_ALL,
      cachePolicy: cloudfront.CachePolicy.CACHING_DISABLED,
      originRequestPolicy: cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
      responseHeadersPolicy: cloudfront.ResponseHeadersPolicy.SECURITY_HEADERS,
    }
  }

  /** CloudFront accepts web ACLs from us-east-1 only. */
  #webAcl(log: LogDefaults): string {
    new CfnRule(this, 'web-acl-region', {
      assertions: [
        {
          assert: Fn.conditionEquals(Aws.REGION, 'us-east-1'),
          assertDescription: 'a web ACL for CloudFront is made in us-east-1: deploy there, or name one by its ARN',
        },
      ],
    })
    const metrics = (metricName: string) => ({
      cloudWatchMetricsEnabled: true,
      // A sample would contain a real request.
      sampledRequestsEnabled: false,
      metricName,
    })
    const acl = new wafv2.CfnWebACL(this, 'web-acl', {
      scope: 'CLOUDFRONT',
      defaultAction: { allow: {} },
      visibilityConfig: metrics('web-acl'),
      rules: [
        ...RULES.map(({ name, counted }, priority) => ({
          name,
          priority,
          overrideAction: { none: {} },
          statement: {
            managedRuleGroupStatement: {
              vendorName: 'AWS',
              name,
              ruleActionOverrides: counted.map((rule) => ({ name: rule, actionToUse: { count: {} } })),
            },
          },
          visibilityConfig: metrics(name),
        })),
        {
          name: 'rate',
          priority: RULES.length,
          action: { block: {} },
          statement: { rateBasedStatement: { limit: REQUESTS, aggregateKeyType: 'IP' } },
          visibilityConfig: metrics('rate'),
        },
      ],
    })
    const group = logGroup(this, 'web-acl-log', { ...log, name: `aws-waf-logs-${Stack.of(this).stackName}` })
    new wafv2.CfnLoggingConfiguration(this, 'web-acl-logging', {
      resourceArn: acl.attrArn,
      logDestinationConfigs: [group.logGroupArn.replace(/:\*$/, '')],
      // Paths contain ids of ECGs, and headers contain tokens.
      redactedFields: [
        { uriPath: {} },
        { queryString: {} },
        { singleHeader: { Name: 'authorization' } },
        { singleHeader: { Name: 'x-cardiacnets-secret' } },
      ],
    })
    return acl.attrArn
  }
}
