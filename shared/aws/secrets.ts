/**
 * Reads secrets from where a site's configuration says they are (`SecretSource`).
 * @module
 */
import { readFile } from 'node:fs/promises'
import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager'
import type { SecretSource } from '../config/site.ts'
import { CodedError } from '../errors.ts'
import { secretsManager } from './clients.ts'

/**
 * Reads a secret and removes the white space around it. It is read anew on each call, so a changed secret needs no restart.
 * @throws CodedError `site-config-invalid` naming `field` when the secret cannot be read or is empty
 */
export async function readSecret(source: SecretSource, field: string): Promise<string> {
  let text: string | undefined
  try {
    text =
      'file' in source
        ? await readFile(source.file, 'utf8')
        : (await secretsManager().send(new GetSecretValueCommand({ SecretId: source.secretArn }))).SecretString
  } catch (cause) {
    throw new CodedError('site-config-invalid', { field }, { cause })
  }
  const secret = text?.trim() ?? ''
  if (secret === '') throw new CodedError('site-config-invalid', { field })
  return secret
}
