/**
 * Temporary AWS credentials for a device certificate (`iot:AssumeRoleWithCertificate`), from the credentials provider of AWS IoT Core.
 * @see https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html
 * @module
 */
import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import * as z from 'zod'
import { CodedError } from '../../shared/errors.ts'
import { REQUEST_MS } from './cloud.ts'

export interface IotCredentialsSource {
  /** `https://` and the account's host: `aws iot describe-endpoint --endpoint-type iot:CredentialProvider`. */
  readonly endpoint: string
  readonly roleAlias: string
  /** Sent as `x-amzn-iot-thingname`, for policies that use the thing's name. */
  readonly thing?: string | undefined
  /** PEM files of the device. They are read for each request, because a certificate is renewed while the gateway runs. */
  readonly cert: string
  readonly key: string
  /** The authority of the endpoint's certificate; absent: those of the system. */
  readonly ca?: string | undefined
}

const Answer = z.object({
  credentials: z.object({
    accessKeyId: z.string().min(1),
    secretAccessKey: z.string().min(1),
    sessionToken: z.string().min(1),
    expiration: z.iso.datetime(),
  }),
})

/** As the AWS SDK takes them. */
interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  readonly expiration: Date
}

/** Longest answer that is read; a real one takes 2 KB. */
const MAX_BYTES = 65_536

/**
 * Makes a credential provider for clients of the AWS SDK, which call it again before the credentials expire.
 * @returns a function that rejects with CodedError `unavailable` when the provider cannot be reached, refuses, or answers something else
 */
export function iotCredentials(source: IotCredentialsSource): () => Promise<Credentials> {
  return async () => {
    try {
      const { credentials } = Answer.parse(JSON.parse(await ask(source)))
      return { ...credentials, expiration: new Date(credentials.expiration) }
    } catch (cause) {
      throw new CodedError('unavailable', { field: 'forward.credentials' }, { cause })
    }
  }
}

async function ask({ endpoint, roleAlias, thing, ...files }: IotCredentialsSource): Promise<string> {
  const read = async (file: string | undefined) => (file === undefined ? undefined : readFile(file))
  const [cert, key, ca] = await Promise.all([read(files.cert), read(files.key), read(files.ca)])
  const url = new URL(`/role-aliases/${encodeURIComponent(roleAlias)}/credentials`, endpoint)
  const headers = thing === undefined ? {} : { 'x-amzn-iot-thingname': thing }
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(REQUEST_MS)
    // Without an agent, so that a renewed certificate is used at once.
    const asked = request(url, { cert, key, ca, headers, signal, agent: false, minVersion: 'TLSv1.2' }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('error', reject)
      answer.on('data', (part: string) => {
        text += part
        if (text.length > MAX_BYTES) asked.destroy(new Error('the answer is too long'))
      })
      answer.on('end', () => {
        if (answer.statusCode === 200) resolve(text)
        else reject(new Error(`the credentials provider answers ${answer.statusCode}`))
      })
    })
    asked.on('error', reject)
    asked.end()
  })
}
