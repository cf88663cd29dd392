/**
 * Files that took minutes in an earlier regular expression, while another caller requests the health status.
 * @module
 */
import { SLOW_INPUTS } from '../../helpers/slow-inputs.ts'
import type { Attack } from './attack.ts'
import { OTHER, type World } from './world.ts'

/** What stopped the API stopped it for 20 s and more; a busy machine answers well within this. */
const LIMIT_MS = 5000

/** All sandboxes at once. */
const AT_ONCE = 4

async function upload(world: World, names: readonly string[]): Promise<string> {
  let isOver = false
  let slowestMs = 0
  const watch = async () => {
    while (!isOver) {
      const startedMs = performance.now()
      await world.request('/healthz')
      slowestMs = Math.max(slowestMs, performance.now() - startedMs)
    }
  }
  const watching = watch()
  const answers = await Promise.all(
    names.map(async (name) => {
      const [format, content] = SLOW_INPUTS[name]!
      const startedMs = performance.now()
      const caller = { tenant: OTHER, sub: `slow-${name}` }
      const { status } = await world.ask(caller, `/v1/ecgs?format=${format}`, { method: 'POST', body: content })
      return { status, ms: performance.now() - startedMs }
    }),
  )
  isOver = true
  await watching
  const broken = answers.filter(({ status, ms }) => status >= 500 || ms > LIMIT_MS)
  const health = slowestMs <= LIMIT_MS ? `/healthz within ${LIMIT_MS} ms` : `/healthz after ${Math.round(slowestMs)} ms`
  if (broken.length === 0) return `answered within ${LIMIT_MS} ms, ${health}`
  return `${broken.map(({ status, ms }) => `${status} after ${Math.round(ms)} ms`).join(', ')}, ${health}`
}

const NAMES = Object.keys(SLOW_INPUTS)
const groups = Array.from({ length: Math.ceil(NAMES.length / AT_ONCE) }, (_, at) =>
  NAMES.slice(at * AT_ONCE, (at + 1) * AT_ONCE),
)

export const SLOW_INPUT_ATTACKS: readonly Attack[] = groups.map((names) => ({
  kind: 'ReDoS',
  name: names.join('; '),
  expected: `answered within ${LIMIT_MS} ms, /healthz within ${LIMIT_MS} ms`,
  run: (world: World) => upload(world, names),
}))
