import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startCompanion } from '../../../cdk/local/companion.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { Lines } from '../helpers/assembly.ts'

async function start(code: string) {
  const script = join(temporaryFolder(), 'script.mjs')
  await writeFile(script, code)
  const log = new Lines()
  const companion = startCompanion({ script, env: { GREETING: 'hello' }, onLine: (line) => log.add(line) })
  onTestFinished(() => companion.stop())
  return { companion, log }
}

const LIVES_ON = `console.log(process.env.GREETING); setInterval(() => {}, 1000)`

it('a companion process restarts after it is killed', async () => {
  const { companion, log } = await start(LIVES_ON)
  await log.until((lines) => lines.includes('hello'))
  const first = companion.pid!

  process.kill(first, 'SIGKILL')
  await log.until((lines) => lines.filter((line) => line === 'hello').length === 2)

  expect(companion.pid).not.toBe(first)
})

it('a companion process may finish its work when it is stopped, and does not restart', async () => {
  const { companion, log } = await start(
    `process.on('SIGTERM', () => setTimeout(() => { console.log('flushed'); process.exit() }, 50)); ${LIVES_ON}`,
  )
  await log.until((lines) => lines.includes('hello'))

  await companion.stop()

  expect(log.all).toEqual(['hello', 'flushed'])
  expect(companion.pid).toBeUndefined()
})
