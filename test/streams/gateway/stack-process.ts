/**
 * The cloud's stack as a process that a harness kills: `node stack-process.ts ASSEMBLY DATA API_PORT BROKER`. The template, functions and adapter of
 * `npm start`, from an assembly that is built once; queues, objects, tables and the adapter's journal are kept in DATA.
 * @module
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { startLocalStack } from '../../../cdk/local/stack.ts'

const [assemblyDir = '', dataDir = '', port = '', broker = ''] = process.argv.slice(2)
const log = join(dataDir, 'stack.log')
await startLocalStack({
  assemblyDir,
  dataDir,
  apiPort: Number(port),
  broker,
  concurrency: 1,
  log: (source, line) => appendFileSync(log, `${source} ${line}\n`),
})
process.stdout.write('stack ready\n')
