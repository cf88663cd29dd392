/**
 * Functions, their layers, permissions and event sources.
 * @module
 */
import { join } from 'node:path'
import { ACCOUNT } from '../account.ts'
import { functionArn, functionNameOf } from '../lambda/sandbox.ts'
import { assuming, credentialsOf, emulatorEnvironment, type Makers, type Place, roleId, TAGS } from './plan.ts'

const ONE_VERSION = 'a function has one version here, which all its names mean'

/** There is no CloudWatch here, so the API evaluates alarms from its own data. */
const NOT_HERE = { ALARMS_OF_STACK: '' }

/** Without a provider there are no tokens, so the API accepts every caller. It does so only because its table is on this machine. */
function callersOf({ tenant, identity }: Pick<Place, 'tenant' | 'identity'>): Readonly<Record<string, string>> {
  if (identity === undefined) return { UNAUTHENTICATED_TENANT: tenant }
  const { issuer, audience, jwksUrl, tenants } = identity
  return { AUTH_ISSUER: issuer, AUTH_AUDIENCE: audience, AUTH_JWKS_URL: jwksUrl, AUTH_TENANTS: tenants.join() }
}

/** Folder of an asset in the cloud assembly, which CDK would upload: `asset.{hash}`. */
function assetFolder(assemblyDir: string, asset: unknown): string {
  const { S3Key } = asset as { S3Key?: string } // CDK's form of every asset
  return join(assemblyDir, `asset.${String(S3Key).replace(/\.zip$/, '')}`)
}

/** Lambda unpacks a layer into `/opt`; here, variables with such a path are redirected to the layer's folder. */
function fromLayer(name: string, variables: Readonly<Record<string, string>>, layers: unknown = []) {
  const [folder, ...others] = layers as readonly string[] // each by its `Ref`
  if (folder === undefined) return variables
  if (others.length > 0) throw new Error(`the local stack gives a function one layer only (${name})`)
  return Object.fromEntries(
    Object.entries(variables).map(([key, value]) => [key, String(value).replace(/^\/opt(?=\/)/, () => folder)]),
  )
}

export const FUNCTIONS: Makers = {
  'AWS::Lambda::Function': {
    uses: ['Code', 'Environment', 'Handler', 'Layers', 'MemorySize', 'Role', 'Runtime', 'Timeout'],
    ignores: {
      Architectures: 'the bundle is built for this machine',
      LoggingConfig: 'functions log to this process',
      ReservedConcurrentExecutions: 'sandboxes are as many as this machine has room for',
      VpcConfig: 'there is no network here',
      ...TAGS,
    },
    async make(name, properties, { functions, deliveries, assemblyDir, emulators, endpoints, tenant, identity }) {
      const { Runtime, Handler, Timeout = 3, MemorySize = 128 } = properties
      if (Runtime !== 'nodejs24.x') throw new Error(`the local stack runs nodejs24.x only, not ${Runtime} (${name})`)
      const { Variables = {} } = (properties.Environment ?? {}) as { Variables?: Readonly<Record<string, string>> }
      functions.push({
        name,
        folder: assetFolder(assemblyDir, properties.Code),
        handler: String(Handler),
        timeoutMs: Number(Timeout) * 1000,
        memoryMb: Number(MemorySize),
        environment: {
          ...emulatorEnvironment(emulators),
          ...endpoints,
          ...fromLayer(name, Variables, properties.Layers),
          ...callersOf({ tenant, identity }),
          ...credentialsOf(properties.Role),
          ...NOT_HERE,
        },
        role: roleId(properties.Role),
      })
      if (properties.Role !== undefined) {
        deliveries.push(assuming('lambda.amazonaws.com', properties.Role, functionArn(name)))
      }
      return { ref: name, attributes: { Arn: functionArn(name) } }
    },
  },

  'AWS::Lambda::LayerVersion': {
    uses: ['Content'],
    ignores: {
      CompatibleArchitectures: 'one that was made for this machine',
      CompatibleRuntimes: 'functions run on one runtime here',
      Description: 'nobody lists layers here',
    },
    async make(_name, { Content }, { assemblyDir }) {
      // A function gets the folder of the layer.
      return { ref: assetFolder(assemblyDir, Content), attributes: {} }
    },
  },

  'AWS::Lambda::Version': {
    uses: ['FunctionName'],
    ignores: {},
    async make(_name, { FunctionName }) {
      return { ref: `${functionArn(String(FunctionName))}:1`, attributes: { Version: '1' } }
    },
  },

  'AWS::Lambda::Alias': {
    uses: ['FunctionName', 'Name'],
    ignores: { FunctionVersion: ONE_VERSION },
    async make(_name, { FunctionName, Name }) {
      const ref = `${functionArn(String(FunctionName))}:${Name}`
      return { ref, attributes: { AliasArn: ref } }
    },
  },

  'AWS::Lambda::Permission': {
    uses: ['Action', 'FunctionName', 'Principal', 'SourceAccount', 'SourceArn'],
    ignores: {
      FunctionUrlAuthType: 'the local API is open, on 127.0.0.1 only',
      InvokedViaFunctionUrl: 'the local API is open, on 127.0.0.1 only',
    },
    async make(name, { Action, FunctionName, Principal, SourceAccount, SourceArn }, { permissions }) {
      const resource = String(FunctionName)
      const conditions = { 'aws:SourceArn': SourceArn, 'aws:SourceAccount': SourceAccount }
      const given = Object.entries(conditions).filter(([, value]) => value !== undefined)
      permissions.attach(resource.startsWith('arn:') ? resource : functionArn(resource), {
        Statement: {
          Effect: 'Allow',
          Principal: Principal === '*' ? '*' : { Service: Principal },
          Action,
          Condition: { ArnLike: Object.fromEntries(given) },
        },
      })
      return { ref: name, attributes: {} }
    },
  },

  'AWS::Lambda::EventSourceMapping': {
    uses: [
      'BatchSize',
      'EventSourceArn',
      'FunctionName',
      'FunctionResponseTypes',
      'MaximumBatchingWindowInSeconds',
      'ScalingConfig',
    ],
    ignores: TAGS,
    async make(name, properties, { mappings, emulators }) {
      const { BatchSize = 10, MaximumBatchingWindowInSeconds = 0, FunctionResponseTypes = [] } = properties
      const { MaximumConcurrency = Number.POSITIVE_INFINITY } = (properties.ScalingConfig ?? {}) as {
        MaximumConcurrency?: number
      }
      const queueArn = String(properties.EventSourceArn)
      if (!queueArn.startsWith('arn:aws:sqs:')) throw new Error(`the local stack polls SQS only, not ${queueArn}`)
      mappings.push({
        queueArn,
        queueUrl: `${emulators.endpoint}/${ACCOUNT}/${queueArn.split(':').at(-1)}`,
        functionName: functionNameOf(String(properties.FunctionName)),
        batchSize: Number(BatchSize),
        batchingWindowMs: Number(MaximumBatchingWindowInSeconds) * 1000,
        reportsItemFailures: (FunctionResponseTypes as readonly string[]).includes('ReportBatchItemFailures'),
        maximumConcurrency: MaximumConcurrency,
      })
      return { ref: name, attributes: {} }
    },
  },

  'AWS::Lambda::Url': {
    uses: ['InvokeMode', 'TargetFunctionArn'],
    ignores: { AuthType: 'the local API is open, on 127.0.0.1 only', Qualifier: ONE_VERSION },
    async make(name, { InvokeMode, TargetFunctionArn }, plan) {
      if (InvokeMode !== 'RESPONSE_STREAM')
        throw new Error(`the local stack knows streaming function URLs only (${name})`)
      plan.streams.push(functionNameOf(String(TargetFunctionArn)))
      return { ref: name, attributes: { FunctionUrl: `${plan.apiUrl}/` } }
    },
  },
}
