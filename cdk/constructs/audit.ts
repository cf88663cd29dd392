/**
 * Table of the audit trail of people's requests. Functions can only append entries: none can read, change or delete one.
 * @module
 */
import type * as dynamodb from 'aws-cdk-lib/aws-dynamodb'
import type * as iam from 'aws-cdk-lib/aws-iam'
import type * as kms from 'aws-cdk-lib/aws-kms'
import { Construct } from 'constructs'
import { grantKey } from './keys.ts'
import { acknowledge } from './nag.ts'
import { keptTable } from './table.ts'

export interface AuditProps {
  readonly key: kms.IKey
  /** Days after which an entry is removed. */
  readonly keptDays: number
}

export class Audit extends Construct {
  readonly table: dynamodb.Table
  /** Environment of a function that appends to it. */
  readonly environment: Readonly<Record<string, string>>

  constructor(scope: Construct, id: string, { key, keptDays }: AuditProps) {
    super(scope, id)
    this.table = keptTable(this, 'audit', key)
    acknowledge(this.table, {
      'HIPAA.Security-DynamoDBInBackupPlan':
        'Point-in-time recovery goes back 35 days, and no function can change or delete an entry',
    })
    this.environment = { AUDIT_TABLE: this.table.tableName, AUDIT_DAYS: String(keptDays) }
  }

  grantAppend(grantee: iam.IGrantable): void {
    this.table.grant(grantee, 'dynamodb:PutItem')
    grantKey(this.table.encryptionKey!, grantee, 'dynamodb')
  }
}
