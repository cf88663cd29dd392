/**
 * `node cdk/bench/in-turns.ts OTHER [ROUNDS]`: prepares the same real windows with another checkout of this repository and with this one,
 * in turns in one process, and prints one JSON document. Its ratio is comparable on a busy machine, where times are not.
 * @module
 */
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import type { WindowPreparer } from '../../shared/signal/window-preparer.ts'
import { median, round } from '../../shared/statistics.ts'
import { benchWindows } from './windows.ts'

/** Every fourth window: a round takes a second. */
const STRIDE = 4

const [other = '.', rounds = '9'] = process.argv.slice(2)
const old = await preparerOf(resolve(other))
const own = await preparerOf(resolve(import.meta.dirname, '../..'))
const windows = (await benchWindows()).windows.filter((_, i) => i % STRIDE === 0)

const everything = { depth: null, maxArrayLength: null } as const
const different = windows.filter(
  (window) => inspect(old.prepare(window), everything) !== inspect(own.prepare(window), everything),
)
const turns: { oldMs: number; ownMs: number }[] = []
for (let turn = 0; turn < Number(rounds); turn++) {
  const isOldFirst = turn % 2 === 0
  const [first, second] = (isOldFirst ? [old, own] : [own, old]).map(cpuMsOf)
  turns.push(isOldFirst ? { oldMs: first!, ownMs: second! } : { oldMs: second!, ownMs: first! })
}
const figures = {
  windows: windows.length,
  different: different.length,
  oldMs: round(median(turns.map(({ oldMs }) => oldMs)) / windows.length),
  ownMs: round(median(turns.map(({ ownMs }) => ownMs)) / windows.length),
  timesAsFast: round(median(turns.map(({ oldMs, ownMs }) => oldMs / ownMs))),
}
process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`)

async function preparerOf(root: string): Promise<WindowPreparer> {
  const path = pathToFileURL(join(root, 'shared/signal/window-preparer.ts')).href
  const module: { readonly WindowPreparer: typeof WindowPreparer } = await import(path)
  return new module.WindowPreparer(CARDIACNETS_V1)
}

/** CPU time of this thread for all windows. The scheduler counts it in ticks of some milliseconds, so single windows are not timed. */
function cpuMsOf(preparer: WindowPreparer): number {
  const before = process.threadCpuUsage()
  for (const window of windows) preparer.prepare(window)
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}
