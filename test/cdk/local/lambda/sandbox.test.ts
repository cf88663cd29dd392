import { realpathSync } from 'node:fs'
import { expect, it, onTestFinished } from 'vitest'
import { measureColdStart } from '../../../../cdk/bench/cold-start.ts'
import { type FunctionSpec, startSandbox } from '../../../../cdk/local/lambda/sandbox.ts'
import { functionSpec, Lines } from '../../helpers/assembly.ts'

async function start(spec: FunctionSpec) {
  const log = new Lines()
  const sandbox = await startSandbox(spec, (line) => log.add(line))
  onTestFinished(() => sandbox.stop())
  return { sandbox, log }
}

it('a Lambda sandbox gives the handler its event and context', async () => {
  const spec = await functionSpec(`
    export const handler = async (event, context) => ({
      n: event.n + 1,
      name: context.functionName,
      memory: context.memoryLimitInMB,
      remainingMs: context.getRemainingTimeInMillis(),
      id: context.awsRequestId,
    })`)
  const { sandbox } = await start(spec)

  const answers = [JSON.parse(await sandbox.invoke('{"n":1}')), JSON.parse(await sandbox.invoke('{"n":2}'))]

  expect(answers).toMatchObject([
    { n: 2, name: 'worker', memory: '128' },
    { n: 3, name: 'worker', memory: '128' },
  ])
  expect(answers[0].remainingMs).toBeGreaterThan(4_000)
  expect(answers[0].remainingMs).toBeLessThanOrEqual(5_000)
  expect(answers[0].id).not.toBe(answers[1].id)
})

it('a Lambda sandbox runs in the bundle folder with the function’s environment only', async () => {
  process.env.OURS = 'secret'
  const spec = await functionSpec(
    'export const handler = async () => ({ env: { ...process.env }, cwd: process.cwd() })',
    { environment: { RAW_BUCKET: 'raw' } },
  )
  const { sandbox } = await start(spec)

  const { env, cwd } = JSON.parse(await sandbox.invoke('{}'))

  expect(env).toMatchObject({ RAW_BUCKET: 'raw', LAMBDA_TASK_ROOT: spec.folder, AWS_REGION: 'us-east-1', TZ: ':UTC' })
  expect(env.OURS).toBeUndefined()
  expect(cwd).toBe(realpathSync(spec.folder))
})

it('a Lambda sandbox passes on the function’s output line by line', async () => {
  const { sandbox, log } = await start(
    await functionSpec(`export const handler = async () => { console.log('one\\ntwo'); console.error('three') }`),
  )

  await sandbox.invoke('{}')

  expect([...(await log.until((lines) => lines.length === 3))].sort()).toEqual(['one', 'three', 'two'])
})

it('a Lambda sandbox rejects with the handler’s error and keeps running', async () => {
  const { sandbox } = await start(
    await functionSpec(`export const handler = async ({ bad }) => { if (bad) throw new TypeError('bad'); return 1 }`),
  )

  await expect(sandbox.invoke('{"bad":true}')).rejects.toMatchObject({ type: 'TypeError', message: 'bad' })

  expect(sandbox.alive).toBe(true)
  expect(await sandbox.invoke('{}')).toBe('1')
})

it('a Lambda sandbox kills a function after its timeout', async () => {
  const { sandbox } = await start(
    await functionSpec('export const handler = () => new Promise((resolve) => setTimeout(resolve, 60_000))', {
      timeoutMs: 100,
    }),
  )

  await expect(sandbox.invoke('{}')).rejects.toMatchObject({ type: 'Sandbox.Timedout' })

  expect(sandbox.alive).toBe(false)
})

it('a Lambda sandbox notices when a function ends its own process', async () => {
  const { sandbox } = await start(await functionSpec('export const handler = async () => process.exit(3)'))

  await expect(sandbox.invoke('{}')).rejects.toMatchObject({ type: 'Runtime.ExitError' })

  expect(sandbox.alive).toBe(false)
})

it.each([
  ['throws while it loads', `throw new SyntaxError('broken')`, 'SyntaxError'],
  ['exports no handler', 'export const other = 1', 'Error'],
  ['ends while it loads', 'process.exit(1)', 'Runtime.ExitError'],
])('a Lambda sandbox does not start a function that %s', async (_what, code, type) => {
  const starting = startSandbox(await functionSpec(code))

  await expect(starting).rejects.toMatchObject({ type })
})

it('a Lambda sandbox measures the cold start up to the first answer', async () => {
  const spec = await functionSpec('export const handler = async () => 1')

  const { initMs, firstAnswerMs } = await measureColdStart(spec, '{}')

  expect(initMs).toBeGreaterThan(0)
  expect(firstAnswerMs).toBeGreaterThan(initMs)
})
