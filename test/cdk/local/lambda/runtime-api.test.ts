import { expect, it, onTestFinished } from 'vitest'
import { startRuntimeApi } from '../../../../cdk/local/lambda/runtime-api.ts'

const INVOCATION = { requestId: 'r-1', event: '{"n":1}', functionArn: 'arn:fn', deadlineMs: 1234 }

/** The Runtime API as a runtime client sees it. */
async function start() {
  const api = await startRuntimeApi()
  onTestFinished(() => api.close())
  const url = `http://${api.address}/2018-06-01/runtime`
  const post = (path: string, body: string) => fetch(`${url}${path}`, { method: 'POST', body })
  return { api, next: () => fetch(`${url}/invocation/next`), post }
}

it('the Lambda runtime API gives an event to the waiting runtime, with the required headers', async () => {
  const { api, next } = await start()

  void api.invoke(INVOCATION)
  const response = await next()

  expect(await response.text()).toBe('{"n":1}')
  expect(response.headers.get('lambda-runtime-aws-request-id')).toBe('r-1')
  expect(response.headers.get('lambda-runtime-deadline-ms')).toBe('1234')
  expect(response.headers.get('lambda-runtime-invoked-function-arn')).toBe('arn:fn')
})

it('the Lambda runtime API lets a runtime wait for the next event', async () => {
  const { api, next } = await start()

  const asked = next()
  await api.initialized
  void api.invoke(INVOCATION)

  expect((await asked).headers.get('lambda-runtime-aws-request-id')).toBe('r-1')
})

it('the Lambda runtime API resolves the invocation with the runtime’s answer', async () => {
  const { api, next, post } = await start()
  const answer = api.invoke(INVOCATION)
  await next()

  const response = await post('/invocation/r-1/response', '{"ok":true}')

  expect(response.status).toBe(202)
  expect(await answer).toBe('{"ok":true}')
})

it('the Lambda runtime API rejects the invocation with the runtime’s error', async () => {
  const { api, next, post } = await start()
  const answer = api.invoke(INVOCATION)
  const rejected = expect(answer).rejects.toMatchObject({ type: 'RangeError', message: 'too far' })
  await next()

  const response = await post('/invocation/r-1/error', '{"errorType":"RangeError","errorMessage":"too far"}')

  expect(response.status).toBe(202)
  await rejected
})

it('the Lambda runtime API refuses a response to an unknown invocation', async () => {
  const { post } = await start()

  const response = await post('/invocation/r-9/response', '{}')

  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({ errorType: 'InvalidRequestID' })
})

it('the Lambda runtime API reports a runtime that could not load its handler', async () => {
  const { api, post } = await start()

  const response = await post('/init/error', '{"errorType":"SyntaxError","errorMessage":"no"}')

  expect(response.status).toBe(202)
  await expect(api.initialized).rejects.toMatchObject({ type: 'SyntaxError' })
})
