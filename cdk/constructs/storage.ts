/**
 * The bucket of waveforms and the table of results.
 * @module
 */
import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib'
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb'
import * as iam from 'aws-cdk-lib/aws-iam'
import type * as kms from 'aws-cdk-lib/aws-kms'
import * as s3 from 'aws-cdk-lib/aws-s3'
import { Construct } from 'constructs'
import type { Deployment } from '../../shared/config/deployment.ts'
import { grantKey } from './keys.ts'
import { acknowledge, acknowledgeWildcards } from './nag.ts'
import { keptTable } from './table.ts'

/** Prefixes of an ECG's objects (`shared/aws/payloads.ts`). */
const ECG_PREFIXES = ['raw/', 'clean/', 'artifacts/']

/** Index by time of arrival. */
const BY_ARRIVAL = 'byArrival'

/**
 * Attributes that the console's worklist also shows. DynamoDB cannot change an index: for a table that was deployed with another list, add
 * this index under a new name in one deployment, and remove the old one in the next.
 */
const LISTED = ['heartRateBpm', 'reasons', 'top', 'warnings', 'version']

export interface StorageProps {
  readonly key: kms.IKey
  readonly retentionDays: Deployment['retentionDays']
  /** Whether CloudFront writes its logs here, which requires object ownership. */
  readonly hasFrontDoor: boolean
}

/** The bucket of waveforms and the table of results. Both outlive the stack. */
export class Storage extends Construct {
  readonly bucket: s3.Bucket
  readonly table: dynamodb.Table
  /** Environment of a function that stores results. */
  readonly retention: Readonly<Record<string, string>>
  /** Access logs: who requested what from which bucket. */
  readonly accessLogs: s3.Bucket

  constructor(scope: Construct, id: string, { key, retentionDays, hasFrontDoor }: StorageProps) {
    super(scope, id)
    const { ecgs: ecgDays } = retentionDays
    this.retention = ecgDays === undefined ? {} : { ECG_DAYS: String(ecgDays) }
    const common = {
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      versioned: true,
      removalPolicy: RemovalPolicy.RETAIN,
    }
    this.accessLogs = new s3.Bucket(this, 'access-logs', {
      ...common,
      // S3 cannot write access logs under another kind of key.
      encryption: s3.BucketEncryption.S3_MANAGED,
      ...(hasFrontDoor ? { objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_PREFERRED } : {}),
      lifecycleRules: [
        { expiration: Duration.days(retentionDays.accessLogs), noncurrentVersionExpiration: Duration.days(1) },
      ],
    })
    this.bucket = new s3.Bucket(this, 'raw', {
      ...common,
      encryption: s3.BucketEncryption.KMS,
      encryptionKey: key,
      // One KMS request for many objects.
      bucketKeyEnabled: true,
      // CDK's classes and interfaces differ in `undefined`.
      serverAccessLogsBucket: this.accessLogs as s3.IBucket,
      serverAccessLogsPrefix: 'raw/',
      lifecycleRules: [
        { abortIncompleteMultipartUploadAfter: Duration.days(1) },
        // A clean window can be derived from the raw one. It is kept only while a message (14 days at most, in a DLQ) refers to it.
        { prefix: 'clean/', expiration: Duration.days(15), noncurrentVersionExpiration: Duration.days(1) },
        // Messages in the intake's DLQ refer to them for 14 days.
        { prefix: 'rejected/', ...expireAfter(Math.max(15, retentionDays.rejected)) },
        ...['raw/', 'artifacts/'].map((prefix) => ({
          prefix,
          noncurrentVersionExpiration: Duration.days(retentionDays.supersededRaw),
          // The delete marker expires with the last version.
          ...(ecgDays === undefined ? { expiredObjectDeleteMarker: true } : { expiration: Duration.days(ecgDays) }),
        })),
      ],
    })
    // Live sessions expire some time after their summary was written, results as the site configures.
    this.table = keptTable(this, 'results', key)
    acknowledge(this, {
      'HIPAA.Security-S3BucketReplicationEnabled':
        'S3 keeps an object in three zones; a copy elsewhere would be one more place to erase a patient from',
      'HIPAA.Security-DynamoDBInBackupPlan':
        'Point-in-time recovery goes back 35 days; a backup kept longer would bring back what somebody had erased',
    })
    acknowledge(this.accessLogs, {
      'HIPAA.Security-S3DefaultEncryptionKMS': 'S3 writes access logs under no key but its own',
    })
    this.table.addGlobalSecondaryIndex({
      indexName: BY_ARRIVAL,
      partitionKey: { name: 'tenant', type: dynamodb.AttributeType.STRING },
      sortKey: { name: 'arrival', type: dynamodb.AttributeType.STRING },
      // Only what a list shows; the whole result would double the cost of writing.
      projectionType: dynamodb.ProjectionType.INCLUDE,
      nonKeyAttributes: ['startedAt', 'status', 'device', 'flagged', ...LISTED],
    })
  }

  /** Access to rows, by API action; `Query` also includes the index. */
  grantRows(
    grantee: iam.IGrantable,
    ...actions: ('DeleteItem' | 'GetItem' | 'PutItem' | 'Query' | 'UpdateItem')[]
  ): void {
    const { tableArn } = this.table
    for (const action of actions) {
      this.#grant(grantee, `dynamodb:${action}`, tableArn)
      if (action === 'Query') this.#grant(grantee, 'dynamodb:Query', `${tableArn}/index/${BY_ARRIVAL}`)
    }
    grantKey(this.table.encryptionKey!, grantee, 'dynamodb')
  }

  /** Read access to objects below `prefix`. `ListBucket` makes S3 answer 404 instead of 403 for a missing object. */
  grantGet(grantee: iam.IGrantable, prefix: string): void {
    this.#grantObjects(grantee, 's3:GetObject', prefix)
    this.#grant(grantee, 's3:ListBucket', this.bucket.bucketArn)
    grantKey(this.bucket.encryptionKey!, grantee, 's3')
  }

  grantPut(grantee: iam.IGrantable, prefix: string): void {
    this.#grantObjects(grantee, 's3:PutObject', prefix)
    grantKey(this.bucket.encryptionKey!, grantee, 's3')
  }

  /** Permission to remove an ECG's objects (all, or below `prefixes`) with every earlier version. */
  grantRemove(grantee: iam.IGrantable, prefixes: readonly string[] = ECG_PREFIXES): void {
    for (const prefix of prefixes) {
      this.#grantObjects(grantee, 's3:DeleteObject', prefix)
      this.#grantObjects(grantee, 's3:DeleteObjectVersion', prefix)
    }
    this.#grant(grantee, 's3:ListBucket', this.bucket.bucketArn)
    this.#grant(grantee, 's3:ListBucketVersions', this.bucket.bucketArn)
  }

  #grantObjects(grantee: iam.IGrantable, action: string, prefix: string): void {
    const bucket = Stack.of(this).getLogicalId(this.bucket.node.defaultChild as s3.CfnBucket) // the resource that a bucket is made of
    acknowledgeWildcards(grantee, [`<${bucket}.Arn>/${prefix}*`], 'Objects are named by tenant and ECG')
    this.#grant(grantee, action, this.bucket.arnForObjects(`${prefix}*`))
  }

  #grant(grantee: iam.IGrantable, action: string, resourceArn: string): void {
    iam.Grant.addToPrincipal({ grantee, actions: [action], resourceArns: [resourceArn] })
  }
}

function expireAfter(days: number) {
  return { expiration: Duration.days(days), noncurrentVersionExpiration: Duration.days(1) }
}
