/**
 * The HTTP API and the resources in front of it.
 * @module
 */
import { ACCOUNT, REGION } from '../account.ts'
import { functionNameOf } from '../lambda/sandbox.ts'
import { type Makers, TAGS } from './plan.ts'

/** ARN of a route in an invoke permission: `*` for any method, and no path for `$default`. */
function routeArn(api: string, routeKey: string): string {
  const [method = '', path = ''] = routeKey.split(' ')
  return `arn:aws:execute-api:${REGION}:${ACCOUNT}:${api}/$default/${method === 'ANY' ? '*' : method}${path}`
}

export const WEB: Makers = {
  'AWS::CloudFront::Distribution': {
    uses: [],
    ignores: { DistributionConfig: 'the API serves the console here', ...TAGS },
    async make(name, _properties, { apiUrl }) {
      return { ref: name, attributes: { DomainName: new URL(apiUrl).host } }
    },
  },

  'AWS::ApiGatewayV2::Api': {
    uses: ['ProtocolType'],
    ignores: { Name: 'it has an address instead', ...TAGS },
    async make(name, { ProtocolType }, { apiUrl }) {
      if (ProtocolType !== 'HTTP')
        throw new Error(`the local stack serves HTTP APIs only, not ${ProtocolType} (${name})`)
      return { ref: name, attributes: { ApiEndpoint: apiUrl } }
    },
  },

  'AWS::ApiGatewayV2::Integration': {
    uses: ['IntegrationType', 'IntegrationUri', 'PayloadFormatVersion'],
    ignores: { ApiId: 'there is one API' },
    async make(name, { IntegrationType, IntegrationUri, PayloadFormatVersion }) {
      if (IntegrationType !== 'AWS_PROXY' || PayloadFormatVersion !== '2.0') {
        throw new Error(`the local stack knows AWS_PROXY with payload format 2.0 only (${name})`)
      }
      return { ref: String(IntegrationUri), attributes: {} }
    },
  },

  'AWS::ApiGatewayV2::Route': {
    uses: ['ApiId', 'RouteKey', 'Target'],
    ignores: {
      AuthorizationType: 'the local API is open, on 127.0.0.1 only',
      AuthorizerId: 'the local API is open, on 127.0.0.1 only',
    },
    async make(name, { ApiId, RouteKey, Target }, { deliveries, routes }) {
      const integration = String(Target).replace(/^integrations\//, '')
      const route = { routeKey: String(RouteKey), functionName: functionNameOf(integration) }
      deliveries.push({
        service: 'apigateway.amazonaws.com',
        source: routeArn(String(ApiId), route.routeKey),
        needs: [{ action: 'lambda:InvokeFunction', resource: integration }],
        begin: () => routes.push(route),
      })
      return { ref: name, attributes: {} }
    },
  },
}
