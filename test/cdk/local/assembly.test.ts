import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readTemplate, synthesize } from '../../../cdk/local/assembly.ts'
import { localSite } from '../../../cdk/local/ehr.ts'
import { STACK_NAME } from '../../../cdk/stack-name.ts'
import { parseSiteConfig } from '../../../shared/config/site.ts'
import { otherBundle } from '../../helpers/other-bundle.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'

const SITE = parseSiteConfig('{}')

const KEPT = resolve(import.meta.dirname, '../../../node_modules/.cache/assemblies')
const filesIn = async (folder: string) => (await readdir(folder)).toSorted()

/** Equal for two names of one file. */
async function fileOf(assemblyDir: string): Promise<string> {
  const { dev, ino } = await stat(join(assemblyDir, `${STACK_NAME}.template.json`))
  return `${dev}:${ino}`
}

/** The site of a start whose servers have other ports. */
function siteOf(port: number) {
  const folder = temporaryFolder()
  const ehr = { baseUrl: `http://127.0.0.1:${port}/fhir`, ourUrl: `http://127.0.0.1:${port + 1}` }
  return { folder, site: localSite(SITE, ehr, folder), own: [ehr.baseUrl, ehr.ourUrl, folder] }
}

const descriptions = async (assemblyDir: string) => JSON.stringify((await readTemplate(assemblyDir)).Resources)

describe('the assembly of the local stack', () => {
  it('is reused by the next start, made again for another bundle, and reused for that one in another folder', async () => {
    const first = await synthesize(temporaryFolder(), SITE)
    const again = await synthesize(temporaryFolder(), SITE)
    expect(await fileOf(again)).toBe(await fileOf(first))

    onTestFinished(() => {
      delete process.env.MODEL_DIR
    })
    process.env.MODEL_DIR = otherBundle(temporaryFolder())
    const other = await synthesize(temporaryFolder(), SITE)
    expect(await descriptions(first)).not.toContain('@9.9.9 ')
    expect(await descriptions(other)).toContain('@9.9.9 ')

    process.env.MODEL_DIR = otherBundle(temporaryFolder())
    const elsewhere = await synthesize(temporaryFolder(), SITE)
    expect(await fileOf(elsewhere)).toBe(await fileOf(other))
  }, 120_000)

  it('is reused by a start on other ports, with these ports', async () => {
    const [one, other] = [siteOf(40_001), siteOf(40_003)]
    const first = await synthesize(one.folder, one.site)
    const before = await filesIn(KEPT)

    const second = await synthesize(other.folder, other.site)

    expect(await filesIn(KEPT)).toEqual(before)
    for (const [folder, { own }, { own: foreign }] of [
      [first, one, other],
      [second, other, one],
    ] as const) {
      const text = JSON.stringify(await readTemplate(folder))
      expect(own.filter((value) => !text.includes(value))).toEqual([])
      expect([...foreign, 'stand-in'].filter((value) => text.includes(value))).toEqual([])
    }
  }, 120_000)
})
