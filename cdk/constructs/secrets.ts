/**
 * Secrets that a site's configuration names by where they lie.
 * @module
 */
import * as iam from 'aws-cdk-lib/aws-iam'
import type { SecretSource } from '../../shared/config/site.ts'

/** Lets a function read one secret; a file on the machine needs no right. */
export function grantSecret(grantee: iam.IGrantable, secret: SecretSource): void {
  if (!('secretArn' in secret)) return
  iam.Grant.addToPrincipal({
    grantee,
    actions: ['secretsmanager:GetSecretValue'],
    resourceArns: [secret.secretArn],
  })
  if (secret.keyArn === undefined) return
  // Under a key of the customer's own; the AWS-managed one asks for no right.
  iam.Grant.addToPrincipal({
    grantee,
    actions: ['kms:Decrypt'],
    resourceArns: [secret.keyArn],
    conditions: { StringLike: { 'kms:ViaService': 'secretsmanager.*.amazonaws.com' } },
  })
}
