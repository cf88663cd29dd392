/**
 * The gateway's arm64 archive on an x64 machine: `npm run -s node -- test/streams/gateway/emulated-arm64.ts`. Unpacks what `npm run gateway-archive arm64`
 * built, runs it by QEMU's user emulation, has it screen ECGs from its folder, and compares each number with that of this machine. Needs
 * `apt-get install qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross` and `unshare`.
 * @module
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { archiveName, buildGatewayArchive } from '../../../cdk/build/gateway-archive.ts'
import { freePort } from '../../../cdk/local/free-port.ts'
import { parseResult, type Result } from '../../../shared/domain/result.ts'
import { startGatewayProcess } from './process.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const SAMPLES = ['normal', 'left-bundle-branch-block', 'atrial-fibrillation']

/** ONNX Runtime reads it at its start, and QEMU 7 passes that of the host: an x64 one crashes it. */
const CPU_INFO = `processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1

`

const folder = mkdtempSync(join(tmpdir(), 'arm64-'))
try {
  const archive = join(ROOT, 'dist', `${archiveName('arm64')}.zip`)
  if (!existsSync(archive)) buildGatewayArchive(join(ROOT, 'dist'), 'arm64')
  const app = join(folder, 'app')
  execFileSync('unzip', ['-q', archive, '-d', app])
  const startedAt = performance.now()
  const emulated = await screenedBy(app)
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  const native = await screenedHere()
  let largest = 0
  for (const [name, result] of emulated) {
    const own = native.get(name)!
    const [a, b] = [numbersOf(result), numbersOf(own)]
    for (const [index, value] of a.entries()) largest = Math.max(largest, Math.abs(value - b[index]!))
    const flags = [result, own].map(({ findings }) => findings.map(({ flagged }) => flagged).join())
    if (a.length !== b.length || flags[0] !== flags[1]) throw new Error(`${name}: the results differ`)
  }
  const machine = execFileSync('file', ['-b', join(app, 'bin/node')], { encoding: 'utf8' })
    .split(',')[1]
    ?.trim()
  process.stdout.write(`${JSON.stringify({ machine, ecgs: emulated.size, largestDifference: largest, seconds })}\n`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** Probabilities and indices. */
function numbersOf({ findings, indices }: Result): readonly number[] {
  return [...findings.map(({ probability }) => probability), ...indices.map(({ value }) => value)]
}

/** A configuration with nothing but a folder. */
async function configured(name: string): Promise<{ readonly config: string; readonly inbox: string }> {
  const home = join(folder, name)
  const inbox = join(home, 'inbox')
  mkdirSync(inbox, { recursive: true })
  const config = join(home, 'gateway.json')
  const port = await freePort()
  writeFileSync(config, JSON.stringify({ data: 'data', folder: { watch: 'inbox' }, status: { port } }))
  return { config, inbox }
}

/** Results of the emulated gateway, by file. */
async function screenedBy(app: string): Promise<ReadonlyMap<string, Result>> {
  const { config, inbox } = await configured('emulated')
  const info = join(folder, 'cpuinfo')
  writeFileSync(info, CPU_INFO)
  const script = `mount --bind ${info} /proc/cpuinfo && exec qemu-aarch64-static bin/node --max-semi-space-size=4 --optimize-for-size streams/gateway/main.ts ${config}`
  const child = spawn('unshare', ['--map-root-user', '--mount', 'sh', '-c', script], {
    cwd: app,
    env: { ...process.env, QEMU_LD_PREFIX: '/usr/aarch64-linux-gnu', CODE_VERSION: 'test' },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  try {
    return await screenedFrom(inbox, () => child.exitCode ?? child.signalCode)
  } finally {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }
}

async function screenedHere(): Promise<ReadonlyMap<string, Result>> {
  const { config, inbox } = await configured('native')
  const gateway = await startGatewayProcess(config)
  try {
    return await screenedFrom(inbox, () => (gateway.hasEnded ? 'by itself' : null))
  } finally {
    await gateway.kill()
  }
}

/** Drops the samples into a folder, and reads the results that appear beside them. */
async function screenedFrom(inbox: string, ended: () => number | string | null): Promise<ReadonlyMap<string, Result>> {
  for (const name of SAMPLES) {
    for (const end of ['dat', 'hea'])
      copyFileSync(join(ROOT, 'test/fixtures/samples', `${name}.${end}`), join(inbox, `${name}.${end}`))
  }
  const results = new Map<string, Result>()
  while (results.size < SAMPLES.length) {
    if (ended() !== null) throw new Error(`the gateway ended: ${ended()}`)
    await sleep(500)
    const done = join(inbox, 'done')
    for (const name of existsSync(done) ? readdirSync(done) : []) {
      if (name.endsWith('.result.json')) results.set(name, parseResult(readFileSync(join(done, name), 'utf8')))
    }
  }
  return results
}
