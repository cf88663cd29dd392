/**
 * Lambda's runtime client as in `nodejs24.x`: loads the handler, then polls for events and answers them one at a time. Handlers are async
 * functions; that runtime does not support callbacks.
 * @module
 */
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const { env } = process
const [host, port] = env.AWS_LAMBDA_RUNTIME_API.split(':')
const agent = new Agent({ keepAlive: true, maxSockets: 1 })

/** One call of the Runtime API. When it is unreachable the stack is gone, and this process ends. */
function call(method, path, body) {
  return new Promise((resolve) => {
    const outgoing = request({ host, port, agent, method, path: `/2018-06-01/runtime${path}` }, async (incoming) => {
      const chunks = []
      for await (const chunk of incoming) chunks.push(chunk)
      resolve({ headers: incoming.headers, body: Buffer.concat(chunks).toString() })
    })
    outgoing.on('error', () => process.exit(0))
    outgoing.end(body)
  })
}

function errorDocument(error) {
  const isError = error instanceof Error
  return JSON.stringify({
    errorType: isError ? error.name : typeof error,
    errorMessage: isError ? error.message : String(error),
    trace: isError ? (error.stack ?? '').split('\n') : [],
  })
}

function contextOf(headers) {
  const deadlineMs = Number(headers['lambda-runtime-deadline-ms'])
  return {
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => Math.max(0, deadlineMs - Date.now()),
  }
}

async function loadHandler() {
  const [file, name] = env._HANDLER.split('.')
  const module = await import(pathToFileURL(join(env.LAMBDA_TASK_ROOT, `${file}.mjs`)).href)
  if (typeof module[name] !== 'function') throw new Error(`${env._HANDLER} is not a function`)
  return module[name]
}

// Global of Lambda's runtime that marks a streaming handler. It is never called here, because its app runs in a server (`events.ts`).
globalThis.awslambda = { streamifyResponse: (streaming) => streaming }

let handler
try {
  handler = await loadHandler()
} catch (error) {
  await call('POST', '/init/error', errorDocument(error))
  process.exit(1)
}

for (;;) {
  const { headers, body } = await call('GET', '/invocation/next')
  const invocation = `/invocation/${headers['lambda-runtime-aws-request-id']}`
  let outcome
  try {
    outcome = ['response', JSON.stringify((await handler(JSON.parse(body), contextOf(headers))) ?? null)]
  } catch (error) {
    outcome = ['error', errorDocument(error)]
  }
  await call('POST', `${invocation}/${outcome[0]}`, outcome[1])
}
