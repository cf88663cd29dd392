import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
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
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SHIPPED_BUNDLE } from '../../../shared/inference/active-bundle.ts'
import { readBundle, verifyFile } from '../../../shared/inference/bundle.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { BundleShelf, compareVersions, SIGNATURE_FILE } from '../../../streams/gateway/bundle-shelf.ts'
import { streamRecording } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { HAS_OPENSSL, NO_OPENSSL } from '../../helpers/certificates.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { SCREENING, startTestGateway, type TestGateway, until } from './helpers.ts'
import { generator } from './process.ts'

let folder: string
let maker: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bundles-'))
  maker = generateKeyPairSync('ed25519')
  writeFileSync(join(folder, 'maker.pem'), maker.publicKey.export({ type: 'spki', format: 'pem' }))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const shipped = JSON.parse(readFileSync(join(SHIPPED_BUNDLE, 'manifest.json'), 'utf8')) as {
  readonly name: string
  readonly version: string
  readonly files: readonly { readonly path: string }[]
}
const SCREENS = ['screen.onnx', 'MODEL_CARD.md']
const versionOf = (part: number) => `${Number(shipped.version.split('.')[0]) + part}.0.0`

/** The shipped networks under another version, signed. */
function made(version: string, change: Readonly<Record<string, unknown>> = {}, key = maker.privateKey): string {
  const directory = mkdtempSync(join(folder, 'made-'))
  for (const name of SCREENS) copyFileSync(join(SHIPPED_BUNDLE, name), join(directory, name))
  const files = shipped.files.filter(({ path }) => SCREENS.includes(path))
  const manifest = Buffer.from(JSON.stringify({ ...shipped, version, files, ...change }))
  writeFileSync(join(directory, 'manifest.json'), manifest)
  writeFileSync(join(directory, SIGNATURE_FILE), sign(null, manifest, key))
  return directory
}

const shelf = (keys = [join(folder, 'maker.pem')]) =>
  new BundleShelf({ folder: join(folder, 'shelf'), keys, shipped: SCREENING })
const taken = async () => {}
const activeVersion = async (of = shelf()) =>
  (await readBundle(of.active.bundleDirectory, CARDIACNETS_V1.name)).manifest.version

describe('installing a signed bundle', () => {
  it('activates and lists it, and allows a rollback', async () => {
    const [second, third] = [versionOf(1), versionOf(2)]

    await shelf().install(made(second), taken)
    await shelf().install(made(third), taken)
    const listed = await shelf().list()
    await shelf().rollBack(taken)
    const afterOne = await activeVersion()
    await shelf().rollBack(taken)
    const afterTwo = await activeVersion()

    expect(listed.map(({ version, origin, isActive }) => [version, origin, isActive])).toEqual([
      [shipped.version, 'shipped', false],
      [second, 'installed', false],
      [third, 'installed', true],
    ])
    expect([afterOne, afterTwo]).toEqual([second, shipped.version])
    await expect(shelf().rollBack(taken)).rejects.toMatchObject({ code: 'rollback-impossible' })
  })

  it('changes nothing when it is already active', async () => {
    const directory = made(versionOf(1))
    await shelf().install(directory, taken)

    await shelf().install(directory, () => Promise.reject(new Error('tried')))

    expect((await shelf().list()).length).toBe(2)
  })

  it('keeps only the active and the former bundle', async () => {
    for (const part of [1, 2, 3, 4]) await shelf().install(made(versionOf(part)), taken)

    expect(readdirSync(join(folder, 'shelf')).filter((name) => name !== 'installed.json')).toHaveLength(2)
  })

  it.each([
    ['another key', () => made(versionOf(1), {}, generateKeyPairSync('ed25519').privateKey), 'signature-invalid'],
    [
      'no signature',
      () => {
        const directory = made(versionOf(1))
        rmSync(join(directory, SIGNATURE_FILE))
        return directory
      },
      'signature-invalid',
    ],
    [
      'a manifest that was changed after it was signed',
      () => {
        const directory = made(versionOf(1))
        const path = join(directory, 'manifest.json')
        writeFileSync(path, readFileSync(path, 'utf8').replace('"cardiacnets-v1"', '"cardiacnets-v2"'))
        return directory
      },
      'signature-invalid',
    ],
    [
      'a file of the same size that was changed',
      () => {
        const directory = made(versionOf(1))
        const path = join(directory, 'screen.onnx')
        const bytes = readFileSync(path)
        bytes[1000]! ^= 1
        writeFileSync(path, bytes)
        return directory
      },
      'bundle-corrupt',
    ],
    [
      'a file that is missing',
      () => {
        const directory = made(versionOf(1))
        rmSync(join(directory, 'screen.onnx'))
        return directory
      },
      'bundle-corrupt',
    ],
    ['an earlier version', () => made('0.0.1'), 'bundle-older'],
    ['the active version with other content', () => made(shipped.version), 'bundle-older'],
    ['another name', () => made(versionOf(1), { name: 'other' }), 'bundle-mismatch'],
    ['another profile', () => made(versionOf(1), { profile: 'other' }), 'bundle-mismatch'],
    [
      'a file outside its folder',
      () => made(versionOf(1), { files: [{ ...shipped.files[0], path: '..' }] }),
      'bundle-corrupt',
    ],
    ['nothing in its folder', () => mkdtempSync(join(folder, 'none-')), 'bundle-missing'],
  ])('refuses a bundle with %s, and keeps the active one', async (_, make, code) => {
    await expect(shelf().install(make(), taken)).rejects.toMatchObject({ code })

    expect(await activeVersion()).toBe(shipped.version)
    expect(readdirSync(join(folder, 'shelf'))).toEqual([])
  })

  it('refuses a bundle that cannot screen and keeps the active one', async () => {
    await expect(shelf().install(made(versionOf(1)), () => Promise.reject(new Error('no')))).rejects.toThrow('no')

    expect(await activeVersion()).toBe(shipped.version)
  })

  it('requires a configured key of the right type', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
    writeFileSync(join(folder, 'rsa.pem'), rsa.export({ type: 'spki', format: 'pem' }))
    const directory = made(versionOf(1))

    await expect(shelf([]).install(directory, taken)).rejects.toMatchObject({ code: 'signature-invalid' })
    await expect(shelf([join(folder, 'rsa.pem')]).install(directory, taken)).rejects.toMatchObject({
      code: 'site-config-invalid',
    })
  })

  it('does not roll back to a bundle that was changed on disk', async () => {
    await shelf().install(made(versionOf(1)), taken)
    await shelf().install(made(versionOf(2)), taken)
    const [before] = readdirSync(join(folder, 'shelf')).filter((name) => name.includes(versionOf(1)))
    writeFileSync(join(folder, 'shelf', before!, 'screen.onnx'), 'nonsense')

    await expect(shelf().rollBack(taken)).rejects.toMatchObject({ code: 'bundle-corrupt' })
    expect(await activeVersion()).toBe(versionOf(2))
  })
})

it.each([
  ['1.10.0', '1.9.2', 1],
  ['1.2', '1.2.0', 0],
  ['0.9.9', '1.0.0', -1],
])('compareVersions: %s and %s give %s', (a, b, expected) => {
  expect(compareVersions(a, b)).toBe(expected)
})

describe.skipIf(!HAS_OPENSSL)(`openssl${NO_OPENSSL}`, () => {
  it('creates keys and signatures that the gateway accepts', async () => {
    const directory = made(versionOf(1))
    const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
    openssl('genpkey', '-algorithm', 'ed25519', '-out', 'theirs.key')
    openssl('pkey', '-in', 'theirs.key', '-pubout', '-out', 'theirs.pem')
    const [input, output] = [join(directory, 'manifest.json'), join(directory, SIGNATURE_FILE)]
    openssl('pkeyutl', '-sign', '-rawin', '-inkey', 'theirs.key', '-in', input, '-out', output)

    await shelf([join(folder, 'maker.pem'), join(folder, 'theirs.pem')]).install(directory, taken)

    expect(await activeVersion()).toBe(versionOf(1))
  })
})

describe('a crash during a bundle switch', () => {
  it('leaves the former or the new bundle intact', { timeout: 120_000 }, async () => {
    const module = resolve(import.meta.dirname, '../../../streams/gateway/bundle-shelf.ts')
    const random = generator(11)
    const [first, second] = [made(versionOf(1)), made(versionOf(2))]
    await shelf().install(first, taken)
    // Installs and rolls back in an endless loop.
    writeFileSync(
      join(folder, 'loop.ts'),
      `import { BundleShelf } from ${JSON.stringify(module)}
const shelf = new BundleShelf(${JSON.stringify({ folder: join(folder, 'shelf'), keys: [join(folder, 'maker.pem')], shipped: SCREENING })})
const taken = async () => {}
if (shelf.active.bundleDirectory.includes(${JSON.stringify(`-${versionOf(2)}-`)})) await shelf.rollBack(taken)
console.log('begun')
for (;;) {
  await shelf.install(${JSON.stringify(second)}, taken)
  await shelf.rollBack(taken)
}`,
    )
    const seen = new Set<string>()

    for (let kill = 0; kill < 8; kill++) {
      const child: ChildProcess = spawn(process.execPath, [join(folder, 'loop.ts')], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await once(child.stdout!, 'data')
      await new Promise((over) => setTimeout(over, random() * 150))
      child.kill('SIGKILL')
      await once(child, 'exit')
      const bundle = await readBundle(shelf().active.bundleDirectory, CARDIACNETS_V1.name)
      for (const { path } of bundle.manifest.files) await verifyFile(bundle, path)
      seen.add(bundle.manifest.version)
    }

    expect([versionOf(1), versionOf(2)]).toEqual(expect.arrayContaining([...seen]))
  })
})

describe('a running gateway', () => {
  let ward: TestGateway | undefined
  afterEach(async () => {
    await ward?.end()
    ward = undefined
  })
  const open = async () => {
    ward = await startTestGateway({ bundles: { keys: [join(folder, 'maker.pem')] } })
    return ward
  }

  it('switches to another bundle and back without losing a window', { timeout: 120_000 }, async () => {
    const gateway = await open()
    const link = await DeviceLink.open({ url: `mqtt://127.0.0.1:${gateway.gateway.ports.mqtt}`, version: 4 })
    const ending = new AbortController()
    const streaming = Promise.all(
      ['d1', 'd2'].map((device, index) =>
        streamRecording(syntheticRecording({ seconds: 7.31, gainUv: 5, heartRateBpm: 60 + 10 * index }), {
          link,
          tenant: 'local',
          device,
          speed: 10,
          loop: true,
          signal: ending.signal,
          resultTimeoutMs: 60_000,
        }),
      ),
    )
    const screened = () => gateway.metric('screened_total')
    const some = async () => {
      const before = await screened()
      await until(screened, (count) => count >= before + 2)
    }
    await some()

    const installed = await gateway.post('/bundles/install', { directory: made(versionOf(1)) })
    await some()
    const again = await gateway.post('/bundles/rollback', {})
    await some()
    ending.abort()
    const reports = await streaming
    await link.close()

    expect([installed.status, again.status]).toEqual([200, 200])
    const windows = reports.flatMap((report) => report.windows)
    expect(windows.length).toBeGreaterThan(5)
    expect(windows.filter(({ results }) => results !== 1)).toEqual([])
    const used = new Set((await gateway.results()).map(({ provenance }) => provenance.modelBundle))
    expect(used).toEqual(new Set([`${shipped.name}@${shipped.version}`, `${shipped.name}@${versionOf(1)}`]))
  })

  it('keeps the current bundle and reports the reason when another cannot be loaded', async () => {
    const gateway = await open()
    const directory = made(versionOf(1), { files: shipped.files.filter(({ path }) => path === 'MODEL_CARD.md') })

    const refused = await gateway.post('/bundles/install', { directory })

    expect([refused.status, await refused.json()]).toMatchObject([500, { code: 'bundle-mismatch' }])
    expect(await (await fetch(gateway.url('/bundles'))).json()).toMatchObject([
      { version: shipped.version, isActive: true },
    ])
  })

  it('restarts with the installed bundle', async () => {
    const gateway = await open()
    await gateway.post('/bundles/install', { directory: made(versionOf(1)) })

    ward = await gateway.again()

    const { bundle } = (await (await fetch(ward.url('/status'))).json()) as { bundle: object }
    expect(bundle).toMatchObject({ version: versionOf(1), origin: 'installed' })
    expect(await ward.metric(`bundle_info{name="${shipped.name}",version="${versionOf(1)}"`)).toBe(1)
  })
})

describe('cardiacnets gateway', () => {
  const CLI = resolve(import.meta.dirname, '../../../functions/cli/main.ts')
  const cli = (...args: readonly string[]) =>
    spawnSync(process.execPath, [CLI, 'gateway', 'bundle', ...args, '--config', join(folder, 'gateway.json')], {
      encoding: 'utf8',
    })

  it('changes the bundle of a stopped gateway, and explains errors in a sentence', {
    timeout: 240_000,
  }, () => {
    mkdirSync(join(folder, 'data'))
    const config = { data: 'data', status: { port: 9 }, bundles: { keys: ['maker.pem'] } }
    writeFileSync(join(folder, 'gateway.json'), JSON.stringify(config))

    const installed = cli('install', made(versionOf(1)))
    const older = cli('install', made('0.0.1'))
    const back = cli('rollback')

    expect(JSON.parse(installed.stdout)).toMatchObject({ version: versionOf(1), isActive: true })
    expect([older.status, older.stderr]).toEqual([2, expect.stringContaining('is not newer than the active one')])
    expect(JSON.parse(back.stdout)).toMatchObject({ version: shipped.version })
    expect(existsSync(join(folder, 'data', 'bundles', 'installed.json'))).toBe(true)
  })

  it('reads options after the subcommand', { timeout: 120_000 }, () => {
    const asked = spawnSync(process.execPath, [CLI, 'gateway', 'status', '--status-port', '7771'], { encoding: 'utf8' })
    const incomplete = spawnSync(process.execPath, [CLI, 'gateway', 'bundle', 'install'], { encoding: 'utf8' })

    expect([asked.status, asked.stderr]).toEqual([4, expect.stringContaining('127.0.0.1:7771')])
    expect(incomplete.status).toBe(2)
  })
})
