import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readTemplate, synthesize } from '../../../cdk/local/assembly.ts'
import { STACK_NAME } from '../../../cdk/stack-name.ts'
import { parseSiteConfig } from '../../../shared/config/site.ts'
import { otherBundle } from '../../helpers/other-bundle.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'

const SITE = parseSiteConfig('{}')

/** Equal for two names of one file. */
async function fileOf(assemblyDir: string): Promise<string> {
  const { dev, ino } = await stat(join(assemblyDir, `${STACK_NAME}.template.json`))
  return `${dev}:${ino}`
}

const descriptions = async (assemblyDir: string) => JSON.stringify((await readTemplate(assemblyDir)).Resources)

describe('the assembly of the local stack', () => {
  it('is reused by the next start, and made again for another bundle', async () => {
    const first = await synthesize(temporaryFolder(), SITE)
    const again = await synthesize(temporaryFolder(), SITE)
    expect(await fileOf(again)).toBe(await fileOf(first))

    process.env.MODEL_DIR = otherBundle(temporaryFolder())
    onTestFinished(() => {
      delete process.env.MODEL_DIR
    })
    const other = await synthesize(temporaryFolder(), SITE)
    expect(await descriptions(first)).not.toContain('@9.9.9 ')
    expect(await descriptions(other)).toContain('@9.9.9 ')
  }, 120_000)
})
