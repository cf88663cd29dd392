/**
 * An OpenID provider on this machine, for tests: public client with PKCE, access tokens as JWTs for our API, refresh tokens that rotate.
 * @module
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair } from 'jose'
import Provider from 'oidc-provider'

export interface TestProvider {
  readonly issuer: string
  readonly jwksUrl: string
  stop(): Promise<void>
}

export const AUDIENCE = 'urn:cardiacnets:api'
export const CLIENT_ID = 'console'

/** @param accessSeconds how long an access token is good for */
export async function startProvider(redirectUri: string, accessSeconds: number): Promise<TestProvider> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const issuer = `http://127.0.0.1:${port}`
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const scope = 'ecg:read ecg:write cmr:request'
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT_ID,
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        redirect_uris: [redirectUri],
        post_logout_redirect_uris: [redirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
      },
    ],
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig' }] },
    cookies: { keys: ['of a test'] },
    scopes: ['openid', 'offline_access', ...scope.split(' ')],
    clientBasedCORS: () => true,
    rotateRefreshToken: true,
    ttl: { AccessToken: accessSeconds, RefreshToken: 3600, Session: 3600, Grant: 3600, Interaction: 600, IdToken: 600 },
    extraTokenClaims: () => ({ tenant: 'clinic' }),
    findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    features: {
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({ scope, accessTokenFormat: 'jwt', audience: AUDIENCE }),
      },
    },
  })
  server.on('request', provider.callback())
  return {
    issuer,
    jwksUrl: `${issuer}/jwks`,
    stop: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
}
