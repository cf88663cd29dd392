/**
 * `cardiacnets bench`: measures this machine and prints the figures of DESIGN section 5.
 * @module
 */
import { cpus } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { activeBundle } from '../../shared/inference/active-bundle.ts'
import { readBundle } from '../../shared/inference/bundle.ts'
import { Screener } from '../../shared/inference/screener.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { round } from '../../shared/statistics.ts'
import { type Parts as CostParts, sum, windowCost } from '../cost/marginal.ts'
import { readMeasured } from '../cost/measured.ts'
import { benchCmr } from './cmr.ts'
import { benchGateway } from './gateway.ts'
import { benchLambda } from './lambda.ts'
import { benchMessages, screeningMessage } from './messages.ts'
import { Parts } from './parts.ts'
import { benchPreprocess, benchScreen } from './signal.ts'
import { benchStream } from './stream.ts'
import { benchWindows } from './windows.ts'

interface BenchOptions {
  readonly json?: boolean
  readonly devices: number
  readonly seconds: number
  readonly stream: boolean
}

/** Devices of one ward. */
const GATEWAY_DEVICES = 50

const count = (text: string): number => {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new InvalidArgumentError('a whole number above 0')
}

function benchCommand(): Command {
  return new Command('cardiacnets bench')
    .description(
      'benchmark this machine: signal chain, screening, live devices, functions, messages, cines, cost (takes minutes)',
    )
    .option('--json', 'print one JSON document')
    .option('--devices <n>', 'number of live devices', count, 200)
    .option('--seconds <n>', 'how long each device streams', count, 60)
    .option('--no-stream', 'skip the live devices')
    .action(async (options: BenchOptions) => {
      const figures = await bench(options)
      if (figures.failed !== undefined) process.exitCode = 1
      if (options.json) console.log(JSON.stringify(figures, null, 2))
      else for (const [part, value] of Object.entries(figures)) console.log(`${part}\n${table(value)}`)
    })
}

async function bench({ devices, seconds, stream }: BenchOptions) {
  const { source, windows } = await benchWindows()
  const screener = await Screener.load(await readBundle(activeBundle(), CARDIACNETS_V1.name))
  const parts = new Parts((line) => console.error(line))
  const preprocess = await parts.run('signal chain', () =>
    benchPreprocess(windows[0]!, join(screener.bundle.directory, 'screen.onnx')),
  )
  const screen = await parts.from('screening', { preprocess }, (needed) =>
    benchScreen(windows, screener, needed.preprocess),
  )
  const message = await parts.run('messages', () => benchMessages(windows, screener))
  const lambda = await parts.run('functions', () => benchLambda(screeningMessage(windows[0]!)))
  const cmr = await parts.run('cines', () => benchCmr(screener.bundle))
  const live = stream ? await parts.run(`${devices} live devices`, () => benchStream(devices, seconds)) : undefined
  const gateway = stream
    ? await parts.run(`gateway, ${GATEWAY_DEVICES} live devices`, () => benchGateway(GATEWAY_DEVICES))
    : undefined
  await screener.release()
  const cost = await parts.from('cost', { screen, message, lambda }, (needed) => {
    const each = windowCost({
      ...needed.screen,
      resultBytes: needed.message.resultStoredP50Bytes,
      logBytes: readMeasured().logBytes,
      architecture: 'arm64',
      memory: needed.lambda.memoryMb,
    })
    return { usdPerMillionWindows: round(sum(each)), parts: rounded(each) }
  })
  const [cpu] = cpus()
  return {
    machine: { cpu: cpu?.model, cores: cpus().length, node: process.version, windows: `${windows.length} ${source}` },
    ...(preprocess && { preprocess }),
    ...(screen && { screen }),
    ...(live && { stream: live }),
    ...(gateway && { gateway }),
    ...(lambda && { lambda }),
    ...(cmr && { cmr }),
    ...(message && { message }),
    ...(cost && { cost }),
    ...(parts.failed.length > 0 && { failed: parts.failed }),
  }
}

const rounded = (parts: CostParts) => Object.fromEntries(Object.entries(parts).map(([name, usd]) => [name, round(usd)]))

/** Formats figures as indented lines. */
function table(figures: object, indent = '  '): string {
  return Object.entries(figures)
    .map(([name, value]) =>
      typeof value === 'object' && value !== null
        ? `${indent}${name}\n${table(value, `${indent}  `)}`
        : `${indent}${name.padEnd(24)}${value}`,
    )
    .join('\n')
}

if (import.meta.main) await benchCommand().parseAsync()
