/**
 * Permissions that a call to AWS needs, and how AWS refuses: one entry for each protocol that the emulators support.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
 * @module
 */
import type { IncomingHttpHeaders } from 'node:http'
import { isRecord } from '../../../shared/is-record.ts'
import { ACCOUNT, REGION } from '../account.ts'
import type { Need, Permissions, Violation } from './permissions.ts'

/** The access key that signed a request: a role's id, or any key of an outside caller. */
function callerOf({ authorization = '' }: IncomingHttpHeaders): string | undefined {
  return /Credential=([^/=]{1,128})\//.exec(authorization)?.[1]
}

/** An HTTP request. */
export interface HttpCall {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  /** Parsed when it is JSON or a form, otherwise as received. */
  readonly body: unknown
}

/** A response that refuses a call. */
export interface Refusal {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** The protocol of one service. */
export interface Protocol {
  needs(call: HttpCall): readonly Need[]
  refusal(message: string): Refusal
}

export const arnOf = {
  queue: (name: string) => `arn:aws:sqs:${REGION}:${ACCOUNT}:${name}`,
  table: (name: string) => `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/${name}`,
  bucket: (name: string) => `arn:aws:s3:::${name}`,
  /** An MQTT topic. */
  topic: (name: string) => `arn:aws:iot:${REGION}:${ACCOUNT}:topic/${name}`,
}

type Fields = Readonly<Record<string, unknown>>

const fieldsOf = (value: unknown): Fields => (isRecord(value) ? value : {})
const actionOf = ({ headers }: HttpCall): string => String(headers['x-amz-target']).split('.').at(-1)!
/** SQS and SNS check a batch like its single action. */
const single = (action: string): string => action.replace(/Batch$/, '')

/** A need that no policy allows, so that the refusal names it. */
const unknown = (service: string, { method, url }: HttpCall): Need => ({
  action: `${service}:${method} ${url}`,
  resource: '*',
})

const sqs: Protocol = {
  needs(call) {
    const { QueueUrl, QueueName } = fieldsOf(call.body)
    const name = String(QueueUrl ?? QueueName ?? '')
      .split('/')
      .at(-1)
    return [{ action: `sqs:${single(actionOf(call))}`, resource: name ? arnOf.queue(name) : '*' }]
  },
  refusal: (message) => ({
    status: 403,
    headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amzn-query-error': 'AccessDenied;Sender' },
    body: JSON.stringify({ __type: 'com.amazonaws.sqs#AccessDeniedException', message }),
  }),
}

const sns: Protocol = {
  needs({ body }) {
    const { Action, TopicArn, TargetArn, ResourceArn, SubscriptionArn } = fieldsOf(body)
    const resource = String(TopicArn ?? TargetArn ?? ResourceArn ?? SubscriptionArn ?? '*')
    return [{ action: `sns:${single(String(Action))}`, resource }]
  },
  refusal: (message) => ({
    status: 403,
    headers: { 'content-type': 'text/xml' },
    body: `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>${escaped(message)}</Message></Error></ErrorResponse>`,
  }),
}

const s3: Protocol = {
  needs(call) {
    const { pathname, searchParams } = new URL(call.url, 'http://localhost')
    const [, bucketName = '', ...parts] = pathname.split('/').map(decodeURIComponent)
    const bucket = arnOf.bucket(bucketName)
    const key = parts.join('/')
    const object = `${bucket}/${key}`
    const version = searchParams.has('versionId') ? 'Version' : ''
    const known = (name: string) => searchParams.has(name)
    switch (key === '' ? `${call.method} bucket` : call.method) {
      case 'GET bucket': {
        const action = known('versions') ? 's3:ListBucketVersions' : 's3:ListBucket'
        return [{ action, resource: bucket, context: { 's3:prefix': searchParams.get('prefix') ?? '' } }]
      }
      case 'HEAD bucket':
        return [{ action: 's3:ListBucket', resource: bucket }]
      case 'POST bucket':
        if (!known('delete')) break
        return objectsToDelete(call.body).map(({ name, isVersion }) => ({
          action: isVersion ? 's3:DeleteObjectVersion' : 's3:DeleteObject',
          resource: `${bucket}/${name}`,
        }))
      case 'GET':
      case 'HEAD':
        if (known('attributes') || known('tagging') || known('acl')) break
        return [{ action: `s3:GetObject${version}`, resource: object }]
      case 'PUT': {
        if (known('tagging') || known('acl') || known('renameObject')) break
        const source = call.headers['x-amz-copy-source']
        const copied = source === undefined ? [] : [decodeURIComponent(String(source)).replace(/^\//, '')]
        return [
          { action: 's3:PutObject', resource: object },
          ...copied.map((path) => ({ action: 's3:GetObject', resource: `arn:aws:s3:::${path}` })),
        ]
      }
      case 'POST':
        if (!known('uploads') && !known('uploadId')) break
        return [{ action: 's3:PutObject', resource: object }]
      case 'DELETE':
        if (known('uploadId')) return [{ action: 's3:AbortMultipartUpload', resource: object }]
        return [{ action: `s3:DeleteObject${version}`, resource: object }]
    }
    return [unknown('s3', call)]
  },
  refusal: (message) => ({
    status: 403,
    headers: { 'content-type': 'application/xml' },
    body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>${escaped(message)}</Message></Error>`,
  }),
}

/** Objects in the XML of DeleteObjects. */
function objectsToDelete(body: unknown): readonly { readonly name: string; readonly isVersion: boolean }[] {
  const text = Buffer.isBuffer(body) ? body.toString() : String(body)
  return elements(text, 'Object').map((object) => ({
    name: unescaped(elements(object, 'Key')[0] ?? ''),
    isVersion: object.includes('<VersionId>'),
  }))
}

/** The content of each element with this name. Splits at tags, so that no input is slow. */
function elements(text: string, name: string): readonly string[] {
  const opened = text.split(`<${name}>`).slice(1)
  return opened.flatMap((part) => (part.includes(`</${name}>`) ? part.split(`</${name}>`, 1) : []))
}

/** Actions that the parts of a transaction are checked as. */
const TRANSACTION: Readonly<Record<string, string>> = {
  ConditionCheck: 'ConditionCheckItem',
  Delete: 'DeleteItem',
  Get: 'GetItem',
  Put: 'PutItem',
  Update: 'UpdateItem',
}

const dynamodb: Protocol = {
  needs(call) {
    const action = actionOf(call)
    const { TableName, IndexName, RequestItems, TransactItems } = fieldsOf(call.body)
    if (Array.isArray(TransactItems)) {
      return TransactItems.flatMap((item) =>
        Object.entries(fieldsOf(item)).map(([kind, part]) => ({
          action: `dynamodb:${TRANSACTION[kind] ?? kind}`,
          resource: arnOf.table(String(fieldsOf(part).TableName)),
        })),
      )
    }
    const tables = RequestItems === undefined ? [TableName] : Object.keys(fieldsOf(RequestItems))
    return tables.map((name) => {
      if (name === undefined) return { action: `dynamodb:${action}`, resource: '*' }
      const table = arnOf.table(String(name))
      return {
        action: `dynamodb:${action}`,
        resource: IndexName === undefined ? table : `${table}/index/${String(IndexName)}`,
      }
    })
  },
  refusal: (message) => ({
    status: 400,
    headers: { 'content-type': 'application/x-amz-json-1.0' },
    body: JSON.stringify({ __type: 'com.amazon.coral.service#AccessDeniedException', Message: message }),
  }),
}

const batch: Protocol = {
  needs(call) {
    const { jobQueue, jobDefinition, jobId } = fieldsOf(call.body)
    switch (call.url) {
      case '/v1/submitjob':
        return [jobDefinition, jobQueue].map((arn) => ({ action: 'batch:SubmitJob', resource: String(arn) }))
      case '/v1/terminatejob':
        return [{ action: 'batch:TerminateJob', resource: `arn:aws:batch:${REGION}:${ACCOUNT}:job/${String(jobId)}` }]
      case '/v1/describejobs':
        return [{ action: 'batch:DescribeJobs', resource: '*' }]
    }
    return [unknown('batch', call)]
  },
  refusal: (message) => ({
    status: 403,
    headers: { 'content-type': 'application/json', 'x-amzn-errortype': 'AccessDeniedException' },
    body: JSON.stringify({ message }),
  }),
}

/** Topic of `POST /topics/{topic}`, AWS IoT's data plane. */
export function publishedTopic({ method, url }: HttpCall): string | undefined {
  const [, topic] = /^\/topics\/(.+)$/.exec(new URL(url, 'http://localhost').pathname) ?? []
  return method === 'POST' && topic !== undefined ? decodeURIComponent(topic) : undefined
}

/** The data plane: `POST /topics/{topic}`. */
const iot: Protocol = {
  needs(call) {
    const topic = publishedTopic(call)
    if (topic === undefined) return [unknown('iot', call)]
    const resource = arnOf.topic(topic)
    const publish = { action: 'iot:Publish', resource }
    return new URL(call.url, 'http://localhost').searchParams.get('retain') === 'true'
      ? [publish, { action: 'iot:RetainPublish', resource }]
      : [publish]
  },
  refusal: (message) => ({
    status: 403,
    headers: { 'content-type': 'application/json', 'x-amzn-errortype': 'ForbiddenException' },
    body: JSON.stringify({ message }),
  }),
}

export const PROTOCOLS = { sqs, sns, s3, dynamodb, batch, iot } as const

/** The protocol of a request to fauxqs' single address, distinguished as fauxqs does. */
export function emulatedProtocol({ headers, url }: HttpCall): Protocol | undefined {
  const type = headers['content-type'] ?? ''
  if (url === '/' && type.includes('x-amz-json-1.0')) return sqs
  if (url === '/' && type.includes('x-www-form-urlencoded')) return sns
  return url === '/health' || url.startsWith('/_fauxqs/') ? undefined : s3
}

/** Allows a call (`undefined`), or returns the refusal. */
export type Gate = (protocol: Protocol, call: HttpCall) => Refusal | undefined

/** Checks the calls of roles. A request that is signed with another key comes from this machine's user, who may do everything. */
export function gateOf(permissions: Permissions): Gate {
  return (protocol, call) => {
    const caller = callerOf(call.headers)
    if (caller === undefined || !permissions.isRole(caller)) return undefined
    const violation = permissions.refuse(caller, protocol.needs(call))
    return violation && protocol.refusal(refusalMessage(violation))
  }
}

/** In AWS's words. */
const refusalMessage = ({ principal, action, resource, reason }: Violation): string =>
  `User: arn:aws:sts::${ACCOUNT}:assumed-role/${principal}/local is not authorized to perform: ${action} on resource: ${resource} because ${reason}`

function escaped(text: string): string {
  return text.replace(/[<>&]/g, (character) => `&#${character.charCodeAt(0)};`)
}

function unescaped(text: string): string {
  const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
  return text.replace(/&(\w+);/g, (whole, name: string) => entities[name] ?? whole)
}
