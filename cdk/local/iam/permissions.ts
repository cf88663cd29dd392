/**
 * IAM check: the policies of a template, compiled once, and IAM's decision about a call.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 * @module
 */

import { isRecord } from '../../../shared/is-record.ts'
import { ACCOUNT, REGION } from '../account.ts'

/** One permission that a call needs. */
export interface Need {
  /** `sqs:SendMessage` */
  readonly action: string
  /** An ARN; `*` for an action without resources. */
  readonly resource: string
  /** Condition keys of this call, beside those of every call. */
  readonly context?: Context
}

export type Context = Readonly<Record<string, string>>

/** A call that was refused. */
export interface Violation {
  /** Construct path of the role, or the service. */
  readonly principal: string
  readonly action: string
  readonly resource: string
  readonly reason: string
}

/** A permission of a role. */
export interface Grant {
  readonly role: string
  readonly action: string
  readonly resource: string
}

export const roleArn = (id: string): string => `arn:aws:iam::${ACCOUNT}:role/${id}`

/** One action on one resource (both may contain wildcards) of one statement. */
interface Rule {
  readonly effect: 'Allow' | 'Deny'
  readonly action: string
  readonly resource: string
  matches(need: Need): boolean
  /** In the policy of a resource; always true in a role's policy. */
  isFor(principal: Principal): boolean
  /** @throws UnknownConditionError */
  holds(context: Context): boolean
  isUsed: boolean
}

interface Role {
  readonly path: string
  readonly rules: Rule[]
  /** Managed policies that are not in the template. */
  readonly unknown: string[]
  hasCalled: boolean
}

type Principal = { readonly role: string } | { readonly service: string }

/** Condition keys of every call to AWS, including TLS. */
const EVERY_CALL: Context = {
  'aws:securetransport': 'true',
  's3:tlsversion': '1.3',
  'aws:requestedregion': REGION,
  'aws:resourceaccount': ACCOUNT,
  'kms:calleraccount': ACCOUNT,
}

/** Keys that a call may have. Without the key, a condition on it is not met, unless it is negative. */
const KNOWN_KEYS = new Set([
  ...Object.keys(EVERY_CALL),
  'aws:principalaccount',
  'aws:principalarn',
  'aws:principalisawsservice',
  'aws:sourceaccount',
  'aws:sourcearn',
  'kms:viaservice',
  's3:prefix',
])

/** Services whose calls are checked locally; nothing is known about other permissions. */
const CHECKED = ['batch', 'dynamodb', 'iot', 'kms', 's3', 'secretsmanager', 'sns', 'sqs']

class UnknownConditionError extends Error {}

/**
 * Evaluates the policies of a template.
 * @example
 * permissions.refuse('IntakePreprocessRole', [{ action: 'sqs:SendMessage', resource: 'arn:aws:sqs:…:screening' }]) // undefined: it may
 */
export class Permissions {
  readonly #onViolation: (violation: Violation) => void
  readonly #roles = new Map<string, Role>()
  /** Resource policies by the ARN of the queue, topic, bucket or key. */
  readonly #attached = new Map<string, Rule[]>()
  /** ARN of the customer's key, by the ARN of what it encrypts. */
  readonly #keys = new Map<string, string>()
  readonly #violations = new Map<string, Violation>()

  /** @param onViolation is called once for each violation, however often the call is repeated */
  constructor(onViolation: (violation: Violation) => void = () => {}) {
    this.#onViolation = onViolation
  }

  /** Violations so far, each once. */
  get violations(): readonly Violation[] {
    return [...this.#violations.values()]
  }

  /** Permissions that active roles never used. */
  get unused(): readonly Grant[] {
    return [...this.#roles.values()]
      .filter(({ hasCalled }) => hasCalled)
      .flatMap(({ path, rules }) => {
        const idle = rules.filter(({ effect, isUsed, action }) => effect === 'Allow' && !isUsed && isChecked(action))
        return idle.map(({ action, resource }) => ({ role: path, action, resource }))
      })
  }

  /** @param id access key of the role's callers */
  addRole(id: string, path: string): void {
    this.#roles.set(id, { path, rules: [], unknown: [], hasCalled: false })
  }

  isRole(id: string): boolean {
    return this.#roles.has(id)
  }

  /** Adds a policy document to a role. */
  grant(id: string, document: unknown): void {
    this.#role(id).rules.push(...compile(document))
  }

  /** Records that the role has a policy outside the template, whose permissions are unknown. */
  grantUnknown(id: string, policy: string): void {
    this.#role(id).unknown.push(policy)
  }

  /** Adds the policy document of a resource. */
  attach(resource: string, document: unknown): void {
    this.#attached.set(resource, [...(this.#attached.get(resource) ?? []), ...compile(document)])
  }

  /** Access to the resource also needs its key. */
  encrypt(resource: string, key: string): void {
    this.#keys.set(resource, key)
  }

  /** Why a role's call is refused: its first need that no policy allows. `undefined` when the call is allowed. */
  refuse(id: string, needs: readonly Need[]): Violation | undefined {
    const role = this.#role(id)
    role.hasCalled = true
    const name = [role.path, ...role.unknown.map((policy) => `with ${policy}, which is not known here,`)].join(' ')
    return this.#refuse(needs, { role: roleArn(id) }, name, role.rules, {
      'aws:principalarn': roleArn(id),
      'aws:principalaccount': ACCOUNT,
      'aws:principalisawsservice': 'false',
    })
  }

  /** `refuse` for calls of AWS itself on behalf of `source`: only the resource's own policy can allow them. */
  refuseService(service: string, source: string, needs: readonly Need[]): Violation | undefined {
    return this.#refuse(needs, { service }, service, [], {
      'aws:sourcearn': source,
      'aws:sourceaccount': ACCOUNT,
      'aws:principalisawsservice': 'true',
    })
  }

  #refuse(
    needs: readonly Need[],
    principal: Principal,
    name: string,
    rules: readonly Rule[],
    known: Context,
  ): Violation | undefined {
    for (const need of needs.flatMap((each) => [each, ...this.#keyNeeds(each)])) {
      const reason = this.#reason(need, principal, rules, { ...EVERY_CALL, ...known, ...need.context })
      if (reason !== undefined) return this.#record({ principal: name, ...need, reason })
    }
    return undefined
  }

  #reason(need: Need, principal: Principal, rules: readonly Rule[], context: Context): string | undefined {
    const holding = (candidates: readonly Rule[]) =>
      candidates.filter((rule) => rule.matches(need) && rule.isFor(principal) && rule.holds(context))
    try {
      const own = holding(rules)
      const attached = holding(this.#attached.get(policyHolder(need.resource)) ?? [])
      if ([...own, ...attached].some(({ effect }) => effect === 'Deny')) return 'a policy denies it'
      const isKey = need.action.startsWith('kms:')
      // A key's own policy decides, or delegates to the policies of the account's roles.
      const ownCounts = !isKey || ('role' in principal && this.#isAccountTrusted(need, context))
      if (own.length === 0 || !ownCounts) {
        return attached.length > 0 ? undefined : isKey && own.length > 0 ? "the key's policy does not let it" : NOTHING
      }
      for (const rule of own) rule.isUsed = true
      return undefined
    } catch (error) {
      if (error instanceof UnknownConditionError) return error.message
      throw error
    }
  }

  #isAccountTrusted(need: Need, context: Context): boolean {
    const account: Principal = { role: `arn:aws:iam::${ACCOUNT}:root` }
    const rules = this.#attached.get(need.resource) ?? []
    return rules.some(
      (rule) => rule.effect === 'Allow' && rule.matches(need) && rule.isFor(account) && rule.holds(context),
    )
  }

  /** Needs for the key of a resource, which AWS uses on behalf of the caller. */
  #keyNeeds({ action, resource }: Need): readonly Need[] {
    const key = this.#keys.get(encrypted(resource))
    if (key === undefined) return []
    const service = action.slice(0, action.indexOf(':'))
    const context = { 'kms:viaservice': `${service}.${REGION}.amazonaws.com` }
    const actions = KEY_ACTIONS[action] ?? (service === 'dynamodb' ? ['kms:Decrypt'] : [])
    return actions.map((each) => ({ action: each, resource: key, context }))
  }

  #role(id: string): Role {
    const role = this.#roles.get(id)
    if (role === undefined) throw new Error(`the template has no role ${id}`)
    return role
  }

  #record({ principal, action, resource, reason }: Violation): Violation {
    const violation: Violation = { principal, action, resource, reason }
    const name = JSON.stringify([principal, action, resource])
    if (!this.#violations.has(name)) {
      this.#violations.set(name, violation)
      this.#onViolation(violation)
    }
    return violation
  }
}

const NOTHING = 'no policy allows it'

/** A violation in one line. */
export const describeViolation = ({ principal, action, resource, reason }: Violation): string =>
  `${principal} may not ${action} on ${resource}: ${reason}`

const SEND = ['kms:GenerateDataKey', 'kms:Decrypt']

const KEY_ACTIONS: Readonly<Record<string, readonly string[]>> = {
  'sqs:SendMessage': SEND,
  'sqs:ReceiveMessage': ['kms:Decrypt'],
  'sns:Publish': SEND,
  's3:GetObject': ['kms:Decrypt'],
  's3:GetObjectVersion': ['kms:Decrypt'],
  's3:PutObject': ['kms:GenerateDataKey'],
  'secretsmanager:GetSecretValue': ['kms:Decrypt'],
  // These read and write no item.
  'dynamodb:DescribeTable': [],
  'dynamodb:DescribeTimeToLive': [],
  's3:ListBucket': [],
}

/** The resource whose policy applies: for an object, its bucket. */
const policyHolder = (arn: string): string => (arn.startsWith('arn:aws:s3:::') ? arn.split('/', 1)[0]! : arn)

/** The resource with the key: for an object its bucket, for an index its table. */
const encrypted = (arn: string): string =>
  arn.includes(':table/') ? arn.split('/').slice(0, 2).join('/') : policyHolder(arn)

const isChecked = (action: string): boolean => CHECKED.includes(action.slice(0, Math.max(0, action.indexOf(':'))))

/** @throws Error naming a part of a statement that is not supported */
function compile(document: unknown): readonly Rule[] {
  const { Statement = [] } = isRecord(document) ? document : {}
  return list(Statement).flatMap((statement) => rulesOf(statement as Readonly<Record<string, unknown>>)) // IAM's format
}

function rulesOf(statement: Readonly<Record<string, unknown>>): readonly Rule[] {
  const { Sid: _, Effect, Action, NotAction, Resource, NotResource, Principal, Condition, ...others } = statement
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw new Error(`the local stack does not know ${unknown} of a policy's statement`)
  const effect = Effect === 'Allow' ? 'Allow' : 'Deny'
  const isFor = principals(Principal)
  const holds = conditions(Condition)
  const actions = NotAction === undefined ? each(Action, true) : none(NotAction, true)
  // The policy of a resource need not name it again.
  const resources = NotResource === undefined ? each(Resource ?? '*', false) : none(NotResource, false)
  return actions.flatMap((action) =>
    resources.map((resource) => ({
      effect,
      action: action.text,
      resource: resource.text,
      matches: (need) => action.matches(need.action) && resource.matches(need.resource),
      isFor,
      holds,
      isUsed: false,
    })),
  )
}

interface Pattern {
  readonly text: string
  matches(value: string): boolean
}

/** A pattern for each text. */
function each(texts: unknown, ignoresCase: boolean): readonly Pattern[] {
  return list(texts).map((text) => ({ text: String(text), matches: wildcard(String(text), ignoresCase) }))
}

/** One pattern for everything that matches none of the texts. */
function none(texts: unknown, ignoresCase: boolean): readonly Pattern[] {
  const excluded = each(texts, ignoresCase)
  const text = `not ${excluded.map((pattern) => pattern.text).join(', ')}`
  return [{ text, matches: (value) => !excluded.some((pattern) => pattern.matches(value)) }]
}

/** `*` stands for anything, `?` for one character. */
function wildcard(pattern: string, ignoresCase = false): (value: string) => boolean {
  if (pattern === '*') return () => true
  if (!/[*?]/.test(pattern) && !ignoresCase) return (value) => value === pattern
  const wanted = ignoresCase ? pattern.toLowerCase() : pattern
  return (value) => matchesWildcard(wanted, ignoresCase ? value.toLowerCase() : value)
}

/** Backtracks only to the last `*`, so that a pattern with many of them costs no more than with one. */
function matchesWildcard(pattern: string, value: string): boolean {
  let [at, star, resume] = [0, -1, 0]
  for (let i = 0; i < value.length; ) {
    if (pattern[at] === '*') [star, resume] = [at++, i]
    else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === value[i])) [at, i] = [at + 1, i + 1]
    else if (star < 0) return false
    else [at, i] = [star + 1, ++resume]
  }
  return !/[^*]/.test(pattern.slice(at))
}

function principals(principal: unknown): (who: Principal) => boolean {
  if (principal === undefined || principal === '*') return () => true
  const { AWS = [], Service = [] } = isRecord(principal) ? principal : {}
  const roles = list(AWS).map(String)
  const services = list(Service).map(String)
  return (who) => ('role' in who ? roles.includes('*') || roles.includes(who.role) : services.includes(who.service))
}

type Comparison = (actual: string, expected: string) => boolean

const like: Comparison = (actual, expected) => wildcard(expected)(actual)
const compare =
  (holds: (actual: number, expected: number) => boolean): Comparison =>
  (actual, expected) =>
    holds(Number(actual), Number(expected))

const COMPARISONS: Readonly<Record<string, Comparison>> = {
  StringEquals: (actual, expected) => actual === expected,
  StringEqualsIgnoreCase: (actual, expected) => actual.toLowerCase() === expected.toLowerCase(),
  StringLike: like,
  ArnEquals: like,
  ArnLike: like,
  Bool: (actual, expected) => actual === expected.toLowerCase(),
  NumericEquals: compare((a, b) => a === b),
  NumericLessThan: compare((a, b) => a < b),
  NumericLessThanEquals: compare((a, b) => a <= b),
  NumericGreaterThan: compare((a, b) => a > b),
  NumericGreaterThanEquals: compare((a, b) => a >= b),
}

/** All conditions of a statement. An unknown operator or key is an error only when the statement would apply. */
function conditions(condition: unknown): (context: Context) => boolean {
  const all = Object.entries(isRecord(condition) ? condition : {}).flatMap(([operator, keys]) =>
    Object.entries(isRecord(keys) ? keys : {}).map(([key, values]) => test(operator, key, list(values).map(String))),
  )
  return (context) => all.every((holds) => holds(context))
}

function test(operator: string, key: string, values: readonly string[]): (context: Context) => boolean {
  const [, name = operator, ifExists] = /^(.*?)(IfExists)?$/.exec(operator) ?? []
  const isNegative = name.includes('Not')
  const comparison = COMPARISONS[name.replace('Not', '')]
  const lowerKey = key.toLowerCase()
  if (!KNOWN_KEYS.has(lowerKey) || (comparison === undefined && name !== 'Null')) {
    return () => {
      throw new UnknownConditionError(`the local stack does not know the condition ${operator} of ${key}`)
    }
  }
  return (context) => {
    const actual = context[lowerKey]
    if (comparison === undefined) return values.includes(String(actual === undefined))
    if (actual === undefined) return isNegative || ifExists !== undefined
    return values.some((expected) => comparison(actual, expected)) !== isNegative
  }
}

function list(value: unknown): readonly unknown[] {
  if (value === undefined) return []
  return Array.isArray(value) ? value : [value]
}
