/**
 * Resource types that the local stack does not need.
 * @module
 */

/** Resource types that need nothing on one machine, and why. */
export const SKIPPED: Readonly<Record<string, string>> = {
  'AWS::Logs::LogGroup': 'functions log to this process',
  'AWS::ApiGatewayV2::Authorizer': 'the local API is open, on 127.0.0.1 only',
  'AWS::IoT::Policy': 'the local broker is open, on 127.0.0.1 only',
  'AWS::IoT::ThingType': 'the local broker knows no things',
  'AWS::IoT::ThingGroup': 'the local broker knows no things',
  'AWS::ApiGatewayV2::Stage': 'there is one stage, $default',
  'AWS::CloudWatch::Alarm': 'nothing is watched here',
  'AWS::CloudWatch::Dashboard': 'nothing is watched here',
  'AWS::CodeDeploy::Application': 'the local stack is replaced as a whole',
  'AWS::CodeDeploy::DeploymentGroup': 'the local stack is replaced as a whole',
  'AWS::Batch::ComputeEnvironment': 'batch jobs run on this machine',
  'AWS::IAM::InstanceProfile': 'batch jobs run on this machine',
  'AWS::EC2::LaunchTemplate': 'batch jobs run on this machine',
  'AWS::ECS::Cluster': 'the adapter runs as a process of this machine',
  'AWS::ECS::Service': 'the adapter runs as a process of this machine',
  'AWS::AutoScaling::AutoScalingGroup': 'the adapter runs as a process of this machine',
  'AWS::EC2::Volume': 'the journal is a file of this machine',
  'AWS::CloudFront::OriginAccessControl': 'the API serves the console here',
  'AWS::CloudFront::ResponseHeadersPolicy': 'the API serves the console here, and sets its headers',
  'AWS::SecretsManager::Secret': 'the front and the API are one process here',
  'AWS::WAFv2::WebACL': 'only this machine reaches it',
  'AWS::WAFv2::LoggingConfiguration': 'only this machine reaches it',
  'AWS::EC2::VPC': 'there is no network here',
  'AWS::EC2::Subnet': 'there is no network here',
  'AWS::EC2::RouteTable': 'there is no network here',
  'AWS::EC2::SubnetRouteTableAssociation': 'there is no network here',
  'AWS::EC2::Route': 'there is no network here',
  'AWS::EC2::InternetGateway': 'there is no network here',
  'AWS::EC2::VPCGatewayAttachment': 'there is no network here',
  'AWS::EC2::FlowLog': 'there is no network here',
  'AWS::EC2::VPCEndpoint': 'there is no network here',
  'AWS::EC2::SecurityGroup': 'there is no network here',
  'AWS::EC2::SecurityGroupEgress': 'there is no network here',
  'AWS::EC2::SecurityGroupIngress': 'there is no network here',
}
