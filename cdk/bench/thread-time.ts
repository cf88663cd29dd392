/**
 * CPU time of this thread: other load on the machine hardly changes it. `process.threadCpuUsage` counts the scheduler's ticks of some
 * milliseconds, so the clock is read through WASI, which needs a WebAssembly module with a memory and nothing else.
 * @module
 */
import { WASI } from 'node:wasi'

/** What is used of the global; its types are those of browsers. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: { readonly memory: { readonly buffer: ArrayBuffer } } }
}

/** `__WASI_CLOCKID_THREAD_CPUTIME_ID` */
const THREAD_CPU_CLOCK = 3

const named = (name: string) => [name.length, ...Buffer.from(name, 'latin1')]
const EXPORTS = [2, ...named('memory'), 2, 0, ...named('_initialize'), 0, 0]
/** Its sections: one type, one function, one memory, the exports of both, the function's empty body. */
const SECTIONS = [
  [1, 4, 1, 0x60, 0, 0],
  [3, 2, 1, 0],
  [5, 3, 1, 0, 1],
  [7, EXPORTS.length, ...EXPORTS],
  [10, 4, 1, 2, 0, 11],
].flat()
const MODULE = Uint8Array.from([...Buffer.from('\0asm', 'latin1'), 1, 0, 0, 0, ...SECTIONS])

const wasi = new WASI({ version: 'preview1' })
const instance = new WebAssembly.Instance(new WebAssembly.Module(MODULE))
wasi.initialize(instance)
const readClock: (clock: number, precision: bigint, at: number) => number = wasi.wasiImport.clock_time_get
const time = new DataView(instance.exports.memory.buffer)

/** CPU time of this thread, ms. */
export function threadMs(): number {
  const error = readClock(THREAD_CPU_CLOCK, 0n, 0)
  if (error !== 0) throw new Error(`the thread's clock cannot be read: WASI error ${error}`)
  return Number(time.getBigUint64(0, true)) / 1e6
}
