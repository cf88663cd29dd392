/**
 * The rights of a template's roles, in a form for review.
 * @module
 */
import type { Template } from '../../../cdk/local/template/intrinsics.ts'

export interface Right {
  readonly role: string
  readonly effect: 'Allow' | 'Deny'
  readonly action: string
  readonly resource: string
}

interface Statement {
  readonly Effect: 'Allow' | 'Deny'
  readonly Action: string | readonly string[]
  readonly Resource: unknown
}

/** Each (role, action, resource) of the template's policies, sorted. */
export function rightsOf(template: Template): readonly Right[] {
  const pathOf = (logicalId: string) => {
    const path = String(template.Resources[logicalId]?.Metadata?.['aws:cdk:path'] ?? logicalId)
    return path
      .split('/')
      .slice(1)
      .filter((part) => part !== 'Resource')
      .join('/')
  }

  /** Intrinsic functions replaced by readable names. */
  const print = (value: unknown): string => {
    if (typeof value !== 'object' || value === null) return String(value)
    const [[name, argument]] = Object.entries(value) as [[string, unknown]]
    if (name === 'Ref')
      return String(argument).startsWith('AWS::') ? `<${String(argument).slice(5)}>` : `<${pathOf(String(argument))}>`
    if (name === 'Fn::GetAtt') return `<${pathOf((argument as string[])[0]!)}>`
    if (name === 'Fn::Join') return (argument as [string, unknown[]])[1].map(print).join('')
    return JSON.stringify(value)
  }

  const rights = Object.values(template.Resources)
    .filter(({ Type }) => Type === 'AWS::IAM::Policy')
    .flatMap(({ Properties }) => {
      const { Roles, PolicyDocument } = Properties as {
        Roles: unknown[]
        PolicyDocument: { Statement: Statement[] }
      }
      return Roles.flatMap((role) =>
        PolicyDocument.Statement.flatMap(({ Effect, Action, Resource }) =>
          [Action].flat().flatMap((action) =>
            [Resource].flat().map((resource) => ({
              role: print(role).slice(1, -1),
              effect: Effect,
              action,
              resource: print(resource),
            })),
          ),
        ),
      )
    })
  const line = ({ role, effect, action, resource }: Right) => [role, effect, action, resource].join(' ')
  return [...new Map(rights.map((right) => [line(right), right])).entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, right]) => right)
}
