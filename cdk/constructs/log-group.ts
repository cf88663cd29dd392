/**
 * Our own log groups: encrypted, and with a retention.
 * @module
 */
import { RemovalPolicy } from 'aws-cdk-lib'
import type * as kms from 'aws-cdk-lib/aws-kms'
import * as logs from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'

export interface LogDefaults {
  readonly key: kms.IKey
  readonly days: number
  /** Whether it outlives the stack. */
  readonly isKept?: boolean
}

/** For services that require a certain name of the group. */
interface Named extends LogDefaults {
  readonly name?: string
}

export function logGroup(scope: Construct, id: string, { key, days, name, isKept = false }: Named): logs.LogGroup {
  return new logs.LogGroup(scope, id, {
    // The enumeration's values are days, and the site's schema accepts no others.
    retention: days as logs.RetentionDays,
    encryptionKey: key,
    ...(name && { logGroupName: name }),
    removalPolicy: isKept ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
  })
}
