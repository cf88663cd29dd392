/**
 * `cardiacnets bench`: passes its arguments to `cdk/bench`, which runs in its own process.
 * @module
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Command } from 'commander'

const MAIN = join(import.meta.dirname, '../../cdk/bench/main.ts')

export function benchCommand(): Command {
  return new Command('bench')
    .description(
      'benchmark this machine: signal chain, screening, live devices, functions, cines, cost (takes minutes)',
    )
    .helpOption(false)
    .allowUnknownOption()
    .argument('[options...]', 'see `bench --help`')
    .action(async (options: readonly string[]) => {
      const child = spawn(process.execPath, [MAIN, ...options], { stdio: 'inherit' })
      const [code] = await once(child, 'exit')
      process.exitCode = typeof code === 'number' ? code : 1
    })
}
