/** The packed command line runs outside the checkout: on JavaScript, with only the packages that npm would install. */
import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildPackage } from '../../cdk/build/npm-package.ts'
import type { Result } from '../../shared/domain/result.ts'
import { type CliRun, cli } from '../helpers/cli.ts'
import { installedWith, megabytesOf } from '../helpers/installed-packages.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const SAMPLE = join(ROOT, 'test/fixtures/samples/normal.hea')
/** `cardiacnets` on a disk, onnxruntime-node (288 MB) apart. */
const LIMIT_MB = 150

interface Manifest {
  readonly bin: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
}

describe('the installed package', { timeout: 120_000 }, () => {
  const prefix = mkdtempSync(join(tmpdir(), 'cardiacnets-package-'))
  const installed = join(prefix, 'node_modules/cardiacnets-edge')
  afterAll(() => rmSync(prefix, { recursive: true, force: true }))

  let manifest: Manifest

  /** As npm would lay it out, but that packages are links. */
  beforeAll(() => {
    buildPackage(installed)
    manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
    for (const path of installedWith(Object.keys(manifest.dependencies))) {
      if (path.lastIndexOf('node_modules/') > 0) continue
      mkdirSync(dirname(join(prefix, path)), { recursive: true })
      symlinkSync(join(ROOT, path), join(prefix, path))
    }
  })

  /** The command, in an empty folder, for a user with an empty home. */
  const run = (...args: readonly string[]) =>
    new Promise<CliRun>((done) => {
      const env = { PATH: process.env.PATH, HOME: prefix, USERPROFILE: prefix }
      const main = join(installed, manifest.bin.cardiacnets!)
      execFile(process.execPath, [main, ...args], { cwd: prefix, env, maxBuffer: 1e8 }, (error, stdout, stderr) =>
        done({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
      )
    })

  it('contains the model bundle and no TypeScript', () => {
    const all = readdirSync(installed, { recursive: true, encoding: 'utf8' })

    expect(all.filter((file) => /\.tsx?$/.test(file))).toEqual([])
    expect(all).toContain('models/cardiacnets-compact/manifest.json')
  })

  it(`takes at most ${LIMIT_MB} MB besides onnxruntime-node`, () => {
    const packages = installedWith(Object.keys(manifest.dependencies))
    const folders = packages.filter((path) => !path.endsWith('/onnxruntime-node')).map((path) => join(ROOT, path))

    const megabytes = [installed, ...folders].map(megabytesOf).reduce((total, size) => total + size)

    expect(folders.length).toBeGreaterThan(50)
    expect(megabytes).toBeGreaterThan(50)
    expect(megabytes).toBeLessThanOrEqual(LIMIT_MB)
  })

  it('contains the licence of each bundled package', () => {
    const licences = readFileSync(join(installed, 'packages/LICENSES.txt'), 'utf8')

    expect(licences).toContain('--- dcmjs-dimse\n')
    expect(licences.match(/^--- .+\n\n\S/gm)?.length).toBe(licences.match(/^--- /gm)?.length)
    expect(existsSync(join(prefix, 'node_modules/dcmjs'))).toBe(false)
  })

  it('screens a sample like the checkout', async () => {
    const [packed, own] = await Promise.all([run('screen', SAMPLE, '--json'), cli(ROOT, 'screen', SAMPLE, '--json')])

    expect(packed).toMatchObject({ code: 0, stderr: '' })
    const withoutVersion = ({ stdout }: CliRun) => {
      const { provenance, ...result }: Result = JSON.parse(stdout)
      return { ...result, provenance: { ...provenance, codeVersion: '' } }
    }
    expect(withoutVersion(packed)).toEqual(withoutVersion(own))
  })

  it('writes DICOM files with its bundled packages', async () => {
    const drawn = await run('synthesize', SAMPLE, '--out', join(prefix, 'cine'), '--steps', '1')

    expect(drawn).toMatchObject({ code: 0 })
    expect(readdirSync(join(prefix, 'cine')).filter((file) => file.endsWith('.dcm')).length).toBeGreaterThan(0)
  })

  it('speaks DICOM with its bundled packages', async () => {
    const echo = await run('dicom', 'echo', '--to', '127.0.0.1:1')

    expect(echo).toMatchObject({ code: 4, stderr: expect.stringContaining('127.0.0.1:1') })
  })

  it('has no `start` and no `bench`, and says where they are', async () => {
    const answers = await Promise.all(['start', 'bench'].map((name) => run(name, '--port', '1')))

    expect(answers.map(({ code }) => code)).toEqual([2, 2])
    expect(answers[0]!.stderr).toContain('the installed package has no `start`. Clone the repository')
    expect(answers[1]!.stderr).toContain('the installed package has no `bench`. Clone the repository')
  })

  it('refuses to install or run after a bare `npm pack`', () => {
    const bare = join(prefix, 'bare')
    mkdirSync(bare)
    const [tarball] = execFileSync('npm', ['pack', '--silent', '--pack-destination', bare], {
      cwd: ROOT,
      encoding: 'utf8',
    })
      .trim()
      .split('\n')
    execFileSync('tar', ['xzf', tarball!], { cwd: bare })
    const { scripts }: { scripts: { preinstall: string } } = JSON.parse(
      readFileSync(join(bare, 'package/package.json'), 'utf8'),
    )

    const answers = [scripts.preinstall.replace('node ', ''), 'functions/cli/bin.mjs'].map((file) =>
      spawnSync(process.execPath, [file], { cwd: join(bare, 'package'), encoding: 'utf8' }),
    )

    const sentence = 'This package was packed without its build. In the clone, pack it with: npm run package\n'
    expect(answers.map(({ status, stderr }) => [status, stderr])).toEqual([
      [1, sentence],
      [1, sentence],
    ])
  })

  it('stores the chosen bundle with the user, not in the package', async () => {
    const chosen = await run('models', 'use', join(ROOT, 'models/cardiacnets-compact'))

    expect(chosen.code).toBe(0)
    expect(readFileSync(join(prefix, '.config/cardiacnets/model-bundle'), 'utf8')).toContain('cardiacnets-compact')
  })
})
