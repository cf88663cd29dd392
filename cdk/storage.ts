/**
 * Where waveforms and results lie.
 * @module
 */
import { Duration, RemovalPolicy } from 'aws-cdk-lib'
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb'
import * as iam from 'aws-cdk-lib/aws-iam'
import * as s3 from 'aws-cdk-lib/aws-s3'
import { Construct } from 'constructs'

/** Where objects of an ECG lie (`shared/aws/payloads.ts`). */
const ECG_PREFIXES = ['raw/', 'clean/', 'artifacts/']

/** The bucket of waveforms and the table of results. Both outlive the stack. */
export class Storage extends Construct {
  readonly bucket: s3.Bucket
  readonly table: dynamodb.Table

  constructor(scope: Construct, id: string) {
    super(scope, id)
    this.bucket = new s3.Bucket(this, 'raw', {
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      encryption: s3.BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      versioned: true,
      removalPolicy: RemovalPolicy.RETAIN,
      lifecycleRules: [
        { abortIncompleteMultipartUploadAfter: Duration.days(1) },
        // A clean window follows from the raw one: it is kept only while a message (14 days at most, in a DLQ) points at it.
        { prefix: 'clean/', expiration: Duration.days(15), noncurrentVersionExpiration: Duration.days(1) },
      ],
    })
    this.table = new dynamodb.Table(this, 'results', {
      partitionKey: { name: 'pk', type: dynamodb.AttributeType.STRING },
      sortKey: { name: 'sk', type: dynamodb.AttributeType.STRING },
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      // Live sessions are forgotten some time after their summary was written.
      timeToLiveAttribute: 'expiresAt',
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      removalPolicy: RemovalPolicy.RETAIN,
    })
    this.table.addGlobalSecondaryIndex({
      indexName: 'byArrival',
      partitionKey: { name: 'tenant', type: dynamodb.AttributeType.STRING },
      sortKey: { name: 'arrival', type: dynamodb.AttributeType.STRING },
      // What a list shows: the result itself would double the cost of writing it.
      projectionType: dynamodb.ProjectionType.INCLUDE,
      nonKeyAttributes: ['startedAt', 'status', 'device', 'flagged'],
    })
  }

  /** Reads objects below `prefix`; `ListBucket` is what makes a missing one answer 404 rather than 403. */
  grantGet(grantee: iam.IGrantable, prefix: string): void {
    this.#grant(grantee, 's3:GetObject', this.bucket.arnForObjects(`${prefix}*`))
    this.#grant(grantee, 's3:ListBucket', this.bucket.bucketArn)
  }

  grantPut(grantee: iam.IGrantable, prefix: string): void {
    this.#grant(grantee, 's3:PutObject', this.bucket.arnForObjects(`${prefix}*`))
  }

  /** Removes what lies of an ECG (all of it, or below `prefixes`), with every earlier version. */
  grantRemove(grantee: iam.IGrantable, prefixes: readonly string[] = ECG_PREFIXES): void {
    for (const prefix of prefixes) {
      const objects = this.bucket.arnForObjects(`${prefix}*`)
      this.#grant(grantee, 's3:DeleteObject', objects)
      this.#grant(grantee, 's3:DeleteObjectVersion', objects)
    }
    this.#grant(grantee, 's3:ListBucket', this.bucket.bucketArn)
    this.#grant(grantee, 's3:ListBucketVersions', this.bucket.bucketArn)
  }

  #grant(grantee: iam.IGrantable, action: string, resourceArn: string): void {
    iam.Grant.addToPrincipal({ grantee, actions: [action], resourceArns: [resourceArn] })
  }
}
