/**
 * AWS IoT Core on this machine, as far as it is used: rules that send what devices publish to SQS or a log, and the data plane with which
 * functions publish. Devices use the local broker, which is open.
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { SQSClient } from '@aws-sdk/client-sqs'
import { sendMessage } from '../../../shared/aws/queues.ts'
import { forThisMachine } from '../../../shared/loopback.ts'
import { withoutBasicIngest } from '../../../streams/mqtt/topics.ts'
import { closeServer, listen } from '../http.ts'
import { type Gate, type HttpCall, PROTOCOLS, publishedTopic } from '../iam/aws-calls.ts'
import type { Broker, Publication } from './broker.ts'

/** Action of a rule on a selected message. */
export type RuleAction =
  | { readonly kind: 'sqs'; readonly queueUrl: string; readonly role: string }
  /** To a log group; here, this process's log. */
  | { readonly kind: 'log' }

export interface TopicRule {
  readonly name: string
  readonly query: Query
  readonly actions: readonly RuleAction[]
  readonly errorAction: RuleAction | undefined
}

/** The compiled SQL of a rule. */
export interface Query {
  /** Topic filter. */
  readonly from: string
  /** The message that a publication becomes. */
  select(publication: Publication, nowMs: number): Readonly<Record<string, unknown>>
}

type Expression = (publication: Publication, nowMs: number) => unknown

/** Expressions that a rule may select: https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-functions.html */
const EXPRESSIONS: readonly (readonly [RegExp, (argument: string) => Expression])[] = [
  [
    /^encode\(\s*\*\s*,\s*'base64'\s*\)$/,
    () =>
      ({ payload }) =>
        payload.toString('base64'),
  ],
  [
    /^topic\(\s*\)$/,
    () =>
      ({ topic }) =>
        topic,
  ],
  // Parts are counted from 1.
  [
    /^topic\(\s*(\d+)\s*\)$/,
    (part) =>
      ({ topic }) =>
        topic.split('/')[Number(part) - 1],
  ],
  // Fields of a JSON payload; values of another type are left out.
  [
    /^cast\(\s*(\w+)\s+AS\s+Boolean\s*\)$/i,
    (name) => (publication) => {
      const value = fieldOf(publication, name)
      return value === true || value === 'true' ? true : value === false || value === 'false' ? false : undefined
    },
  ],
  [
    /^cast\(\s*(\w+)\s+AS\s+Decimal\s*\)$/i,
    (name) => (publication) => {
      const value = fieldOf(publication, name)
      const number = typeof value === 'number' || typeof value === 'string' ? Number(value) : Number.NaN
      return Number.isFinite(number) ? number : undefined
    },
  ],
  [
    /^regexp_substr\(\s*(\w+\s*,\s*'[^']+')\s*\)$/i,
    (argument) => {
      const [, name = '', pattern = ''] = /^(\w+)\s*,\s*'([^']+)'$/.exec(argument) ?? []
      const wanted = new RegExp(pattern) // from our own template
      return (publication) => {
        const value = fieldOf(publication, name)
        return typeof value === 'string' ? wanted.exec(value)?.[0] : undefined
      }
    },
  ],
  [/^timestamp\(\s*\)$/, () => (_publication, nowMs) => nowMs],
]

/**
 * Parses the subset of IoT's SQL that is used: `SELECT expression AS name, … FROM 'filter'`.
 * @throws Error naming what is not supported
 */
export function parseQuery(sql: string): Query {
  const [head = '', tail = '', ...more] = sql.trim().split(/\sFROM\s/i)
  const [, from, rest] = /^\s*'([^']+)'(.*)$/s.exec(tail) ?? []
  if (!/^SELECT\s/i.test(head) || from === undefined || more.length > 0) throw unknown(sql)
  if (rest!.trim() !== '') throw unknown(rest!.trim())
  const items = head.slice('SELECT'.length)
  const columns = splitItems(items).map((item) => {
    // The last one, because a cast contains AS in its brackets.
    const parts = item.split(/\sAS\s/i)
    const name = parts.at(-1)!.trim()
    const text = item.slice(0, item.length - parts.at(-1)!.length - ' AS '.length)
    if (parts.length < 2 || !/^\w+$/.test(name)) throw unknown(item)
    return [name, expressionOf(text.trim())] as const
  })
  return {
    from,
    select: (publication, nowMs) =>
      Object.fromEntries(columns.map(([name, expression]) => [name, expression(publication, nowMs)])),
  }
}

function expressionOf(text: string): Expression {
  for (const [pattern, make] of EXPRESSIONS) {
    const found = pattern.exec(text)
    if (found) return make(found[1] ?? '')
  }
  throw unknown(text)
}

/** @throws Error, without the payload's text, when it is not a JSON object; a rule that reads fields then fails */
function fieldOf({ payload }: Publication, name: string): unknown {
  let json: unknown
  try {
    json = JSON.parse(payload.toString('utf8'))
  } catch {
    throw new Error('the payload is no JSON')
  }
  return typeof json === 'object' && json !== null ? (json as Readonly<Record<string, unknown>>)[name] : undefined
}

/** Splits at commas outside brackets. */
function splitItems(text: string): readonly string[] {
  let depth = 0
  const items = ['']
  for (const character of text) {
    if (character === '(') depth++
    else if (character === ')') depth--
    if (character === ',' && depth === 0) items.push('')
    else items.push(items.pop() + character)
  }
  return items.map((item) => item.trim())
}

const unknown = (what: string) => new Error(`the local stack does not know "${what}" in the SQL of a rule of AWS IoT`)

/** `+` matches one level of a topic, `#` all remaining levels. */
export function matchesFilter(filter: string, topic: string): boolean {
  const parts = topic.split('/')
  const wanted = filter.split('/')
  for (const [index, part] of wanted.entries()) {
    if (part === '#') return true
    if (part !== '+' && part !== parts[index]) return false
    if (parts[index] === undefined) return false
  }
  return wanted.length === parts.length
}

export interface RuleOptions {
  readonly broker: Broker
  /** A client with the permissions of a role. */
  readonly sqsAs: (role: string) => SQSClient
  readonly log: (line: string) => void
}

/** Runs rules on everything that devices publish from now on. */
export function startRules(
  rules: readonly TopicRule[],
  { broker, sqsAs, log }: RuleOptions,
): { stop(): Promise<void> } {
  const underWay = new Set<Promise<void>>()

  const act = async (action: RuleAction, rule: TopicRule, message: object) => {
    if (action.kind === 'log') log(`rule ${rule.name}: ${JSON.stringify(message)}`)
    else await sendMessage(sqsAs(action.role), action.queueUrl, JSON.stringify(message))
  }

  const run = async (rule: TopicRule, publication: Publication) => {
    let message: Readonly<Record<string, unknown>>
    try {
      message = rule.query.select(publication, Date.now())
    } catch {
      return log(`rule ${rule.name} failed: payload`)
    }
    for (const action of rule.actions) {
      try {
        await act(action, rule, message)
      } catch (error) {
        log(`rule ${rule.name} failed: ${error instanceof Error ? error.name : 'unknown'}`)
        const failed = failure(rule.name, publication, action, error)
        if (rule.errorAction !== undefined) await act(rule.errorAction, rule, failed).catch(() => {})
      }
    }
  }

  const detach = broker.onPublish(
    rules.map(({ query }) => query.from),
    (published) => {
      // Basic Ingest: only to the named rule, without the prefix.
      const called = ruleCalled(published.topic)
      const publication = { ...published, topic: withoutBasicIngest(published.topic) }
      for (const rule of rules) {
        if (called === undefined ? !matchesFilter(rule.query.from, publication.topic) : rule.name !== called) continue
        const running = run(rule, publication).finally(() => underWay.delete(running))
        underWay.add(running)
      }
    },
  )
  return {
    async stop() {
      detach()
      await Promise.all(underWay)
    },
  }
}

/** The rule that a Basic Ingest topic names. */
const ruleCalled = (topic: string): string | undefined => /^\$aws\/rules\/(\w+)\//.exec(topic)?.[1]

/** Message for an error action: https://docs.aws.amazon.com/iot/latest/developerguide/rule-error-handling.html */
function failure(ruleName: string, { topic, payload, clientId }: Publication, action: RuleAction, error: unknown) {
  return {
    ruleName,
    topic,
    clientId,
    base64OriginalPayload: payload.toString('base64'),
    failures: [
      {
        failedAction: action.kind === 'sqs' ? 'SqsAction' : 'CloudwatchLogsAction',
        failedResource: action.kind === 'sqs' ? action.queueUrl.split('/').at(-1) : ruleName,
        errorMessage: error instanceof Error ? error.message : String(error),
      },
    ],
  }
}

/** The data plane, with `Publish` only. Answers that it is unavailable while there is no broker. */
export async function startDataPlane(gate: Gate, broker: Broker | undefined) {
  const server = createServer(
    forThisMachine((request, response) => {
      handle(request, response).catch(() => response.destroy())
    }),
  )

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer) // no encoding is set
    const { method = '', url = '', headers } = request
    const body = Buffer.concat(chunks)
    const call: HttpCall = { method, url, headers, body }
    const refusal = gate(PROTOCOLS.iot, call)
    if (refusal !== undefined) return void response.writeHead(refusal.status, refusal.headers).end(refusal.body)
    const topic = publishedTopic(call)
    if (topic === undefined || broker === undefined) {
      const message = `the local AWS IoT knows no ${method} ${url}, or has no broker of its own`
      return void response.writeHead(501, { 'content-type': 'application/json' }).end(JSON.stringify({ message }))
    }
    await broker.publish(topic, body)
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  }

  const { port } = await listen(server, 0)
  return { endpoint: `http://127.0.0.1:${port}`, stop: () => closeServer(server) }
}
