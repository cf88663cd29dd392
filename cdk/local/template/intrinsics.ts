/**
 * CloudFormation templates: their format, and the intrinsic functions that CDK writes into them.
 * @module
 */
import { isRecord } from '../../../shared/is-record.ts'
import { ACCOUNT, REGION } from '../account.ts'

/** A synthesized template, as far as the local stack reads it. */
export interface Template {
  readonly Resources: Readonly<Record<string, TemplateResource>>
  readonly Outputs?: Readonly<Record<string, { readonly Value: unknown }>>
}

export interface TemplateResource {
  readonly Type: string
  readonly Properties?: Readonly<Record<string, unknown>>
  readonly Metadata?: Readonly<Record<string, unknown>>
}

/** The resource behind a logical id, as `Ref` and `Fn::GetAtt` read it. */
export interface Resolved {
  readonly ref: string
  readonly attributes: Readonly<Record<string, string>>
}

/** The local stack's account and region; fauxqs supports no other account. */

const PSEUDO_PARAMETERS: Readonly<Record<string, string>> = {
  'AWS::AccountId': ACCOUNT,
  'AWS::Region': REGION,
  'AWS::Partition': 'aws',
  'AWS::URLSuffix': 'amazonaws.com',
  'AWS::StackName': 'local',
}

/** Finds the resource behind a logical id, and creates it first if necessary. */
export type Lookup = (logicalId: string) => Promise<Resolved>

/**
 * Replaces every intrinsic function in a value: `Ref`, `Fn::GetAtt`, `Fn::Join`, `Fn::Sub`, `Fn::Select`, `Fn::Split`.
 * @throws Error naming any other function, or an attribute that the resource does not have
 */
export async function resolveIntrinsics(value: unknown, lookup: Lookup): Promise<unknown> {
  if (Array.isArray(value)) return Promise.all(value.map((item) => resolveIntrinsics(item, lookup)))
  if (!isRecord(value)) return value
  const [name, ...others] = Object.keys(value)
  if (name !== undefined && others.length === 0 && (name === 'Ref' || name.startsWith('Fn::'))) {
    return call(name, value[name], lookup)
  }
  const entries = Object.entries(value).map(
    async ([key, item]) => [key, await resolveIntrinsics(item, lookup)] as const,
  )
  return Object.fromEntries(await Promise.all(entries))
}

async function call(name: string, argument: unknown, lookup: Lookup): Promise<unknown> {
  switch (name) {
    case 'Ref':
      return reference(String(argument), lookup)
    case 'Fn::GetAtt': {
      const [logicalId, attribute] = Array.isArray(argument) ? argument.map(String) : splitOnce(String(argument))
      return attributeOf(logicalId!, attribute!, lookup)
    }
    case 'Fn::Sub':
      return substitute(argument, lookup)
    case 'Fn::Join': {
      const [separator, parts] = await list(argument, lookup)
      return (parts as readonly unknown[]).map(String).join(String(separator)) // Join's second argument is a list
    }
    case 'Fn::Select': {
      const [index, items] = await list(argument, lookup)
      return (items as readonly unknown[])[Number(index)] // Select's second argument is a list
    }
    case 'Fn::Split': {
      const [separator, text] = await list(argument, lookup)
      return String(text).split(String(separator))
    }
    default:
      throw new Error(`the local stack does not know the intrinsic function ${name}`)
  }
}

async function list(argument: unknown, lookup: Lookup): Promise<readonly unknown[]> {
  return (await resolveIntrinsics(argument, lookup)) as readonly unknown[] // only called for functions that take a list
}

async function reference(name: string, lookup: Lookup): Promise<string> {
  return PSEUDO_PARAMETERS[name] ?? (await lookup(name)).ref
}

async function attributeOf(logicalId: string, attribute: string, lookup: Lookup): Promise<string> {
  const value = (await lookup(logicalId)).attributes[attribute]
  if (value === undefined) throw new Error(`the local stack does not know the attribute ${logicalId}.${attribute}`)
  return value
}

/** `Fn::Sub`: `${Name}`, `${Name.Attribute}`, `${!Literal}`, with or without its own variables. */
async function substitute(argument: unknown, lookup: Lookup): Promise<string> {
  const [template, variables] = Array.isArray(argument) ? argument : [argument, {}]
  const own = await resolveIntrinsics(variables, lookup)
  let text = ''
  let end = 0
  for (const match of String(template).matchAll(/\$\{(!?)([^${}]+)\}/g)) {
    const [whole, literal, name] = match
    text += String(template).slice(end, match.index)
    end = match.index + whole.length
    if (literal === '!') text += `\${${name}}`
    else if (isRecord(own) && name! in own) text += String(own[name!])
    else if (name!.startsWith('AWS::') || !name!.includes('.')) text += await reference(name!, lookup)
    else text += await attributeOf(...splitOnce(name!), lookup)
  }
  return text + String(template).slice(end)
}

function splitOnce(path: string): [logicalId: string, attribute: string] {
  const dot = path.indexOf('.')
  return [path.slice(0, dot), path.slice(dot + 1)]
}
