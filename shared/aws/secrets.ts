/**
 * Secrets, by where they lie (`SecretSource` of a site's configuration).
 * @module
 */
import { readFile } from 'node:fs/promises'
import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager'
import type { SecretSource } from '../config/site.ts'
import { CodedError } from '../errors.ts'
import { secretsManager } from './clients.ts'

/**
 * A secret's text without the white space around it. Read anew each time: a changed secret needs no restart.
 * @throws CodedError `site-config-invalid` naming `field` when it cannot be read
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
