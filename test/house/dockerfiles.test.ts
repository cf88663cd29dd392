/** Rules of every image that we build, by the files that are there: a new one is covered by being there. */
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const FOLDERS = ['cdk', 'console', 'functions', 'shared', 'streams']
const files = FOLDERS.flatMap((folder) => globSync(`${folder}/**/{Dockerfile*,*.Dockerfile}`, { cwd: ROOT }))

it('the list of Dockerfiles is complete', () => {
  expect(files.toSorted()).toEqual([
    'functions/synthesize/Dockerfile',
    'streams/gateway/deploy/Dockerfile',
    'streams/mqtt/Dockerfile',
  ])
})

describe.each(files)('%s', (file) => {
  const text = readFileSync(join(ROOT, file), 'utf8')
  const all = (name: string) =>
    [...text.replaceAll('\\\n', ' ').matchAll(new RegExp(`^${name} +(.+)$`, 'gm'))].map(([, rest]) => rest!)
  const args = Object.fromEntries(all('ARG').map((each) => each.split('=', 2) as [string, string]))

  it('uses only pinned frontends', () => {
    for (const [, frontend] of text.matchAll(/^# *syntax *= *(.+)$/gm))
      expect(frontend).toMatch(/@sha256:[0-9a-f]{64}$/)
  })

  it('starts from images pinned by digest', () => {
    expect(all('FROM').length).toBeGreaterThan(0)
    for (const from of all('FROM')) {
      const [, digest] = /\$\{\w+\}@\$\{(\w+)\}/.exec(from) ?? []
      expect(args[digest ?? '']).toMatch(/^sha256:[0-9a-f]{64}$/)
    }
  })

  it('installs from lock files, without scripts, and downloads nothing else', () => {
    const runs = all('RUN')
    expect(runs.filter((run) => /npm (?!ci )|npx|yarn|pnpm/.test(run))).toEqual([])
    expect(runs.join()).not.toMatch(/curl|wget|sudo|latest/)
    expect(runs.filter((run) => /pip3? (?!install --require-hashes )/.test(run.replace('python3-pip', '')))).toEqual([])
    // A tool of a stage that the image does not keep.
    const last = text.slice(text.lastIndexOf('\nFROM'))
    expect(last).not.toContain('apt-get')
    expect(all('ADD')).toEqual([])
    const copied = all('COPY').join(' ')
    for (const needed of ['package-lock.json', '.npmrc']) expect(copied).toContain(needed)
  })

  it('has a health check, or states that there is none', () => {
    const [health, ...others] = all('HEALTHCHECK')
    expect(others).toEqual([])
    expect(health).toMatch(/^NONE$|CMD \[/)
  })

  it('does not run as root, receives signals directly, and contains no secret', () => {
    const user = all('USER').at(-1)
    expect(user).toBeDefined()
    expect(user).not.toMatch(/^(root|0)(:|$)/)
    for (const name of ['ENTRYPOINT', 'CMD']) expect(() => all(name).map((each) => JSON.parse(each))).not.toThrow()
    expect(all('ENTRYPOINT').map((each) => JSON.parse(each))).toEqual([['node']])
    for (const line of [...all('ENV'), ...all('ARG')]) expect(line).not.toMatch(/secret|password|token|_key/i)
  })
})
