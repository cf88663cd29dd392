/**
 * Access to secrets that a site's configuration refers to.
 * @module
 */
import * as iam from 'aws-cdk-lib/aws-iam'
import type { SecretSource } from '../../shared/config/site.ts'

/** Lets a function read one secret. A local file needs no permission. */
export function grantSecret(grantee: iam.IGrantable, secret: SecretSource): void {
  if (!('secretArn' in secret)) return
  iam.Grant.addToPrincipal({
    grantee,
    actions: ['secretsmanager:GetSecretValue'],
    resourceArns: [secret.secretArn],
  })
  if (secret.keyArn === undefined) return
  // For a customer's own key; the AWS-managed one needs no permission.
  iam.Grant.addToPrincipal({
    grantee,
    actions: ['kms:Decrypt'],
    resourceArns: [secret.keyArn],
    conditions: { StringLike: { 'kms:ViaService': 'secretsmanager.*.amazonaws.com' } },
  })
}
