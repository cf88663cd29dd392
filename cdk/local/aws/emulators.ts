/**
 * SQS, SNS and S3 (fauxqs) and DynamoDB (dynalite), in this process, on 127.0.0.1 only. A gate checks each call before it has an effect.
 * @module
 */
import type { Gate } from '../iam/aws-calls.ts'
import { startFauxqs } from './fauxqs.ts'
import { startDynalite } from './tables.ts'

export interface Emulators {
  /** SQS, SNS and S3. */
  readonly endpoint: string
  readonly dynamoEndpoint: string
  /** Objects whose files were unreadable when the store was opened, and were set aside. */
  readonly setAside: number
  stop(): Promise<void>
}

const everybody: Gate = () => undefined

/**
 * Starts both on their own ports. With `dataDir` they store their data there, otherwise in memory.
 * @param say gets a sentence for each fault of the files that does not end the stack
 * @throws CodedError those of `fileFault`, for a store that cannot be opened
 */
export async function startEmulators(
  dataDir?: string,
  gate: Gate = everybody,
  say: (sentence: string) => void = () => {},
): Promise<Emulators> {
  const fauxqs = await startFauxqs(gate, dataDir, say)
  try {
    const dynamo = await startDynalite(gate, dataDir, say)
    return {
      endpoint: fauxqs.endpoint,
      dynamoEndpoint: dynamo.endpoint,
      setAside: fauxqs.setAside,
      async stop() {
        await fauxqs.close()
        await dynamo.close()
      },
    }
  } catch (error) {
    await fauxqs.close()
    throw error
  }
}
