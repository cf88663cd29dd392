/**
 * Rules of AWS, HIPAA and of serverless stacks that every deployment is checked by. What a rule does not fit is acknowledged beside the
 * construct, with the reason.
 * @module
 */
import { type App, Validations } from 'aws-cdk-lib'
import type { IGrantable } from 'aws-cdk-lib/aws-iam'
import { AwsSolutionsChecks, HIPAASecurityChecks, ServerlessChecks } from 'cdk-nag'
import { Construct, type IConstruct } from 'constructs'

/** A rule that is broken fails the synthesis, by name and construct. */
export function checkRules(app: App): App {
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new HIPAASecurityChecks(app), new ServerlessChecks(app))
  return app
}

/** Rule, by its pack and name → why it does not fit this construct and what is in it. */
export function acknowledge(scope: IConstruct, reasons: Readonly<Record<string, string>>): void {
  for (const [rule, reason] of Object.entries(reasons)) {
    const [pack] = rule.split('-')
    Validations.of(scope).acknowledge({ id: `${pack}::${rule}`, reason })
  }
}

/** That a role's policy says `*` in some resources (as the rule prints them), and why. */
export function acknowledgeWildcards(grantee: IGrantable, resources: readonly string[], reason: string): void {
  const role = grantee.grantPrincipal
  if (!Construct.isConstruct(role)) return
  acknowledge(role, Object.fromEntries(resources.map((each) => [`AwsSolutions-IAM5[Resource::${each}]`, reason])))
}

/** An ARN as the rule prints it. */
export const printedArn = (service: string, resource: string): string =>
  `arn:<AWS::Partition>:${service}:<AWS::Region>:<AWS::AccountId>:${resource}`
