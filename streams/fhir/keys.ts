/**
 * Our keys for the EHR: a private key that signs, and the public keys that we publish.
 * @module
 */
import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import * as z from 'zod'
import { CodedError } from '../../shared/errors.ts'

/** Algorithms that SMART requires: https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html */
export type SigningAlgorithm = 'ES384' | 'RS384'

export interface SigningKey {
  readonly keyId: string
  readonly algorithm: SigningAlgorithm
  readonly privateKey: KeyObject
}

export interface KeySet {
  readonly signing: SigningKey
  /** JSON Web Key Set (RFC 7517) with the public keys. */
  readonly jwks: { readonly keys: readonly JsonWebKey[] }
}

const Jwk = z.looseObject({ kty: z.string(), kid: z.string().optional(), alg: z.string().optional() })
const JwkSet = z.union([z.object({ keys: z.array(Jwk).min(1) }), Jwk.transform((key) => ({ keys: [key] }))])

/**
 * Parses our keys.
 * @param text PEM (PKCS #8), a private JWK, or a set of them. In a set, the key with `keyId` signs; the others are also published, so that
 * an EHR that knows the old key continues to work while a new one is introduced
 * @throws CodedError `site-config-invalid`
 */
export function parseKeySet(text: string, keyId: string, algorithm: SigningAlgorithm): KeySet {
  try {
    const keys = readKeys(text, keyId)
    const signing = keys.find(({ kid }) => kid === keyId)
    if (signing === undefined || !suits(signing.privateKey, algorithm)) throw new Error('no such key')
    const jwks = {
      keys: keys.map(({ kid, privateKey }) => ({
        ...createPublicKey(privateKey).export({ format: 'jwk' }),
        kid,
        alg: privateKey.asymmetricKeyType === 'rsa' ? 'RS384' : 'ES384',
        use: 'sig',
        key_ops: ['verify'],
      })),
    }
    return { signing: { keyId, algorithm, privateKey: signing.privateKey }, jwks }
  } catch {
    // Without a cause, because the parser's message may quote its input.
    throw new CodedError('site-config-invalid', { field: 'site.ehr.auth.key', expected: `${algorithm} key ${keyId}` })
  }
}

function readKeys(text: string, keyId: string): { kid: string; privateKey: KeyObject }[] {
  if (text.trimStart().startsWith('-----BEGIN')) return [{ kid: keyId, privateKey: createPrivateKey(text) }]
  const { keys } = JwkSet.parse(JSON.parse(text))
  return keys.map((jwk) => ({ kid: jwk.kid ?? keyId, privateKey: createPrivateKey({ key: jwk, format: 'jwk' }) }))
}

function suits({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject, algorithm: SigningAlgorithm): boolean {
  if (algorithm === 'RS384') return asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) >= 2048
  return asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'secp384r1'
}
