import { spawn } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DEMO, cli as run } from '../../helpers/cli.ts'

const MAIN = resolve(import.meta.dirname, '../../../functions/cli/main.ts')

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cardiacnets-many-'))
  await mkdir(join(folder, 'ward/a'), { recursive: true })
  for (const name of ['virtual-ecg.hea', 'virtual-ecg.dat'])
    await copyFile(join(dirname(DEMO), name), join(folder, 'ward/a', name))
  await copyFile(resolve(MAIN, '../../../README.md'), join(folder, 'ward/README.md'))
  await copyFile(resolve(MAIN, '../../../package.json'), join(folder, 'ward/package.json'))
  await writeFile(join(folder, 'ward/people.csv'), 'id,sex,age\n1,F,55\n2,M,61\n3,M,70\n')
  await copyFile(resolve(MAIN, '../screen.ts'), join(folder, 'ward/screen.ts'))
  await writeFile(join(folder, 'list.txt'), `${DEMO}\r\n\nnowhere.csv\n`)
})

afterAll(() => rm(folder, { recursive: true }))

const cli = (...args: string[]) => run(folder, ...args)
const lines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

describe('cardiacnets screen', { timeout: 120_000 }, () => {
  it('screens the ECGs of a folder and skips other files', async () => {
    const { code, stdout, stderr } = await cli('screen', 'ward', '--json')

    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject([{ file: join('ward', 'a', 'virtual-ecg.hea'), status: 'screened' }])
    const skipped = ['package.json', 'people.csv', 'README.md', 'screen.ts'].map((name) => join('ward', name))
    expect(stderr).toContain(`4 of 5 files are not ECGs and were skipped: ${skipped.join(', ')}\n`)
  })

  it('accepts a list, and writes a line as each file is done', async () => {
    const { code, stdout } = await cli('screen', '@list.txt', '--json-lines')

    expect(code).toBe(2)
    expect(lines(stdout)).toMatchObject([
      { file: DEMO, status: 'screened' },
      {
        file: 'nowhere.csv',
        error: { code: 'file-not-found', message: expect.stringContaining('nowhere.csv does not exist') },
      },
    ])
  })

  it('reads paths from standard input', async () => {
    const child = spawn(process.execPath, [MAIN, 'screen', '-', '--json-lines'], { cwd: folder })
    const chunks: string[] = []
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk))
    child.stdin.end(`${DEMO}\n`)

    const code = await new Promise((done) => child.once('close', done))

    expect(code).toBe(0)
    expect(lines(chunks.join(''))).toMatchObject([{ file: DEMO, status: 'screened' }])
  })

  it('accepts 5,000 long paths on the command line', async () => {
    const paths = Array.from({ length: 5000 }, (_, i) => join('ward', 'x'.repeat(40), `ecg-of-somebody-${i}.csv`))

    const { code, stdout } = await cli('screen', DEMO, ...paths, '--json-lines')

    expect(code).toBe(2)
    expect(lines(stdout)).toHaveLength(5001)
    expect(lines(stdout)[0]).toMatchObject({ file: DEMO, status: 'screened' })
  })

  it('reports a missing list', async () => {
    expect((await cli('screen', '@nowhere.txt')).code).toBe(2)
  })

  it('explains in words why a file was not read, beside the code', async () => {
    const { stderr } = await cli('screen', join('ward', 'README.md'))

    expect(stderr).toContain('README.md is not an ECG file in any of the 13 supported formats')
    expect(stderr).toContain('format-unknown')
  })

  it('withholds the findings of a child', async () => {
    const [child] = lines((await cli('screen', DEMO, '--age', '9', '--json-lines')).stdout)

    expect(child!.warnings).toContainEqual({ code: 'person-not-covered', field: 'age', withholds: true })
    const findings = child!.findings as { flagged: boolean; withheld?: { reason: string } }[]
    expect(findings.length).toBeGreaterThan(0)
    for (const { flagged, withheld } of findings)
      expect([flagged, withheld?.reason]).toEqual([false, 'person-not-covered'])
  })
})
