/** The packed command line runs away from the checkout: on JavaScript, with the packages that npm would install beside it, and no others. */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildPackage } from '../../cdk/build/npm-package.ts'
import type { Result } from '../../shared/domain/result.ts'
import { type CliRun, cli } from '../helpers/cli.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const SAMPLE = join(ROOT, 'test/fixtures/samples/normal.hea')
const { files, bin }: Manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

interface Manifest {
  readonly files: readonly string[]
  readonly bin: Readonly<Record<string, string>>
}

interface Lock {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>
}

describe('the installed package', { timeout: 120_000 }, () => {
  const prefix = mkdtempSync(join(tmpdir(), 'cardiacnets-package-'))
  const installed = join(prefix, 'node_modules/cardiacnets-edge')
  afterAll(() => rmSync(prefix, { recursive: true, force: true }))

  /** As npm would lay it out, but that packages are links. */
  beforeAll(() => {
    buildPackage(join(installed, 'dist'))
    for (const path of ['package.json', ...files.filter((file) => file !== 'dist')]) {
      cpSync(join(ROOT, path), join(installed, path), { recursive: true })
    }
    const { packages }: Lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'))
    const production = Object.entries(packages).filter(
      ([path, { dev }]) => /^node_modules\/[^/]+(\/[^/]+)?$/.test(path) && !dev,
    )
    for (const [path] of production) {
      mkdirSync(dirname(join(prefix, path)), { recursive: true })
      symlinkSync(join(ROOT, path), join(prefix, path))
    }
  })

  /** The command, in an empty folder, for a user with an empty home. */
  const run = (...args: readonly string[]) =>
    new Promise<CliRun>((done) => {
      const env = { PATH: process.env.PATH, HOME: prefix, USERPROFILE: prefix }
      const main = join(installed, bin.cardiacnets!)
      execFile(process.execPath, [main, ...args], { cwd: prefix, env, maxBuffer: 1e8 }, (error, stdout, stderr) =>
        done({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
      )
    })

  it('holds no TypeScript, and the model bundle', () => {
    const all = readdirSync(installed, { recursive: true, encoding: 'utf8' })

    expect(all.filter((file) => /\.tsx?$/.test(file))).toEqual([])
    expect(all).toContain('dist/models/cardiacnets-compact/manifest.json')
  })

  it('screens a sample as the checkout does', async () => {
    const [packed, own] = await Promise.all([run('screen', SAMPLE, '--json'), cli(ROOT, 'screen', SAMPLE, '--json')])

    expect(packed).toMatchObject({ code: 0, stderr: '' })
    const withoutVersion = ({ stdout }: CliRun) => {
      const { provenance, ...result }: Result = JSON.parse(stdout)
      return { ...result, provenance: { ...provenance, codeVersion: '' } }
    }
    expect(withoutVersion(packed)).toEqual(withoutVersion(own))
  })

  it('has no `start` and no `bench`, and says where they are', async () => {
    const answers = await Promise.all(['start', 'bench'].map((name) => run(name, '--port', '1')))

    expect(answers.map(({ code }) => code)).toEqual([2, 2])
    expect(answers[0]!.stderr).toContain('the installed package has no `start`. Clone the repository')
    expect(answers[1]!.stderr).toContain('the installed package has no `bench`. Clone the repository')
  })

  it('keeps the choice of a bundle with the user, not in the package', async () => {
    const chosen = await run('models', 'use', join(ROOT, 'models/cardiacnets-compact'))

    expect(chosen.code).toBe(0)
    expect(readFileSync(join(prefix, '.config/cardiacnets/model-bundle'), 'utf8')).toContain('cardiacnets-compact')
  })
})
