/**
 * The HTTP API: one Lambda (Hono routes inside) behind API Gateway.
 * @module
 */
import { Duration } from 'aws-cdk-lib'
import * as apigateway from 'aws-cdk-lib/aws-apigatewayv2'
import { HttpIamAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers'
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations'
import { Construct } from 'constructs'
import { type FunctionDefaults, lambdaFunction } from './lambda-function.ts'
import type { Storage } from './storage.ts'

export interface ApiProps {
  readonly defaults: FunctionDefaults
  readonly storage: Storage
  /** Whose ECGs the API shows. */
  readonly tenant: string
}

export class Api extends Construct {
  readonly url: string

  constructor(scope: Construct, id: string, { defaults, storage, tenant }: ApiProps) {
    super(scope, id)
    const api = lambdaFunction(this, defaults, {
      name: 'api',
      memoryMb: 512,
      timeout: Duration.seconds(15),
      environment: {
        RESULTS_TABLE: storage.table.tableName,
        TENANT: tenant,
      },
    })
    storage.table.grant(api, 'dynamodb:Query')

    const http = new apigateway.HttpApi(this, 'http', { apiName: 'cardiacnets' })
    const integration = new HttpLambdaIntegration('api', api)
    // Until the API checks tokens itself, only callers that AWS knows come through; health checks carry no credentials.
    http.addRoutes({ path: '/{proxy+}', integration, authorizer: new HttpIamAuthorizer() })
    http.addRoutes({ path: '/healthz', methods: [apigateway.HttpMethod.GET], integration })
    this.url = http.apiEndpoint
  }
}
