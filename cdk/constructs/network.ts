/**
 * The private network, without access from or to the internet. Functions in it reach AWS only through endpoints.
 *
 * Inside are those that call nothing outside AWS: `preprocess`, `screen`, `synthesis-dispatch`, and the machines that draw. Outside are
 * `report` and `fhir-intake` (the EHR), `api` and `events` (the identity provider's keys) and `publish` (IoT's data plane has no endpoint
 * with a private name).
 * @module
 */
import * as ec2 from 'aws-cdk-lib/aws-ec2'
import { Construct } from 'constructs'
import { type LogDefaults, logGroup } from './log-group.ts'
import { acknowledge } from './nag.ts'

export const HTTPS = ec2.Port.tcp(443)

export interface NetworkProps {
  readonly zones: number
  readonly log: LogDefaults
  /** Whether something needs internet addresses (the adapter, for the broker). */
  readonly isPublicToo: boolean
}

export class Network extends Construct {
  readonly vpc: ec2.IVpc
  /** Settings for a Lambda inside the network. */
  readonly forFunctions: {
    readonly vpc: ec2.IVpc
    readonly vpcSubnets: ec2.SubnetSelection
    readonly securityGroups: ec2.ISecurityGroup[]
  }
  readonly #endpointGroup: ec2.SecurityGroup
  readonly #vpc: ec2.Vpc

  constructor(scope: Construct, id: string, { zones, log, isPublicToo }: NetworkProps) {
    super(scope, id)
    const isolated = { name: 'private', subnetType: ec2.SubnetType.PRIVATE_ISOLATED }
    const open = { name: 'public', subnetType: ec2.SubnetType.PUBLIC, mapPublicIpOnLaunch: false }
    this.#vpc = new ec2.Vpc(this, 'network', {
      maxAzs: zones,
      natGateways: 0,
      subnetConfiguration: isPublicToo ? [isolated, open] : [isolated],
      // CDK would use a function that can change every security group. No resource uses that group.
      restrictDefaultSecurityGroup: false,
      // Gateway endpoints are free.
      gatewayEndpoints: {
        s3: { service: ec2.GatewayVpcEndpointAwsService.S3 },
        dynamodb: { service: ec2.GatewayVpcEndpointAwsService.DYNAMODB },
      },
      flowLogs: {
        rejected: {
          // Rejected traffic shows who tries to get in or out; there should be none.
          trafficType: ec2.FlowLogTrafficType.REJECT,
          destination: ec2.FlowLogDestination.toCloudWatchLogs(logGroup(this, 'network-log', log)),
        },
      },
    })
    acknowledge(this.#vpc, {
      'HIPAA.Security-VPCDefaultSecurityGroupClosed':
        'Nothing is put into it; CDK would close it by a function that may change every group',
      ...(isPublicToo && {
        'HIPAA.Security-VPCNoUnrestrictedRouteToIGW':
          'Machines of the adapter reach the broker by it; their group lets nothing in',
      }),
    })
    // CDK's classes and interfaces differ in `undefined`.
    this.vpc = this.#vpc as ec2.IVpc
    this.#endpointGroup = this.group('endpoint-group', 'Endpoints of AWS')
    const functions = this.group('function-group', 'Functions')
    this.forFunctions = {
      vpc: this.vpc,
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_ISOLATED },
      securityGroups: [functions],
    }
    this.letToAws(functions)
    // In every zone, because each window depends on them.
    for (const [name, service] of Object.entries({
      sqs: ec2.InterfaceVpcEndpointAwsService.SQS,
      sns: ec2.InterfaceVpcEndpointAwsService.SNS,
    })) {
      this.endpoint(name, service, this.vpc.isolatedSubnets)
    }
  }

  /** A security group without inbound or outbound access. */
  group(id: string, description: string): ec2.SecurityGroup {
    return new ec2.SecurityGroup(this, id, { vpc: this.vpc, description, allowAllOutbound: false })
  }

  /** Allows traffic to AWS endpoints. Those of S3 and DynamoDB have their own addresses. */
  letToAws(group: ec2.SecurityGroup): void {
    group.addEgressRule(ec2.Peer.anyIpv4(), HTTPS, 'S3 and DynamoDB by their gateways, the rest by endpoints')
    this.#endpointGroup.addIngressRule(group, HTTPS)
  }

  /** Adds an interface endpoint. Each has a cost per hour and zone. */
  endpoint(name: string, service: ec2.IInterfaceVpcEndpointService, subnets: ec2.ISubnet[]): void {
    this.#vpc.addInterfaceEndpoint(name, {
      service,
      open: false,
      securityGroups: [this.#endpointGroup],
      subnets: { subnets },
    })
  }
}
