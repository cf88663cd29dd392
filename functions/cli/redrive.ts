/**
 * `cardiacnets redrive`: moves dead-lettered messages back to their queue.
 * @module
 */
import { Command, InvalidArgumentError } from 'commander'
import { type RedriveOptions as Rules, redrive } from '../../shared/aws/dead-letters.ts'
import { outputOf, readOutputs, sqsFor } from '../../shared/aws/stack-outputs.ts'

/** Queues with a dead-letter queue, and their names in the stack outputs. */
export const REDRIVABLE = {
  intake: 'Intake',
  screening: 'Screening',
  'results-mqtt': 'ResultsMqtt',
  'results-fhir': 'ResultsFhir',
  'fhir-inbound': 'FhirInbound',
  synthesis: 'Synthesis',
  upkeep: 'Upkeep',
} as const

interface RedriveOptions extends Pick<Rules, 'reason' | 'dryRun'> {
  readonly outputs: string
}

export function redriveCommand(): Command {
  const names = Object.keys(REDRIVABLE).join(', ')
  return new Command('redrive')
    .description('move messages of a dead-letter queue back to their queue')
    .argument('<queue>', names, (name) => {
      if (name in REDRIVABLE) return name
      throw new InvalidArgumentError(`one of ${names}`)
    })
    .option('--outputs <file>', 'outputs of the stack (`cdk deploy --outputs-file`)', '.local/outputs.json')
    .option('--reason <code>', 'only messages with this reason')
    .option('--dry-run', 'only count the messages by reason')
    .action(async (queue: keyof typeof REDRIVABLE, options: RedriveOptions) => {
      const { target, source } = await queueUrls(queue, options.outputs)
      const sqs = sqsFor(target)
      const { moved, counts } = await redrive(sqs, source, target, options)
      for (const [reason, count] of counts) process.stdout.write(`${String(count).padStart(6)}  ${reason}\n`)
      process.stdout.write(`${moved} put back on ${queue}\n`)
    })
}

async function queueUrls(queue: keyof typeof REDRIVABLE, file: string): Promise<{ target: string; source: string }> {
  const outputs = await readOutputs(file)
  return {
    target: outputOf(outputs, `${REDRIVABLE[queue]}QueueUrl`),
    source: outputOf(outputs, `${REDRIVABLE[queue]}DlqUrl`),
  }
}
