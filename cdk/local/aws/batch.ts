/**
 * AWS Batch on this machine: the part of its API that `@aws-sdk/client-batch` needs to submit and terminate jobs. Jobs run as child
 * processes, one at a time and at low priority, so that screening is not slowed down.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { constants, setPriority } from 'node:os'
import { resolve } from 'node:path'
import type { SQSClient } from '@aws-sdk/client-sqs'
import { sendMessage } from '../../../shared/aws/queues.ts'
import { isRecord } from '../../../shared/is-record.ts'
import { forThisMachine } from '../../../shared/loopback.ts'
import { ACCOUNT, REGION } from '../account.ts'
import { END_WITH_PARENT } from '../companion.ts'
import { closeServer, listen } from '../http.ts'
import { type Gate, PROTOCOLS } from '../iam/aws-calls.ts'
import { forwardLines } from '../lambda/sandbox.ts'

export interface JobDefinition {
  readonly arn: string
  /** Arguments of `node`, in the repository's root; the image has the same layout. */
  readonly command: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly attempts: number
  readonly evaluateOnExit: readonly ExitRule[]
  readonly timeoutMs: number
}

/** All fields must match; a `*` at the end stands for anything. */
export interface ExitRule {
  readonly Action: string
  readonly OnExitCode?: string
  readonly OnReason?: string
  readonly OnStatusReason?: string
}

/** Message that is sent when a job of the queue has failed. */
export interface FailureRule {
  readonly jobQueue: string
  readonly queueUrl: string
  /** EventBridge's input transformer: `template` contains names as `<name>`; `paths` has the path of each. */
  readonly paths: Readonly<Record<string, string>>
  readonly template: string
}

export interface BatchPlan {
  readonly jobQueues: readonly string[]
  readonly jobDefinitions: readonly JobDefinition[]
  readonly failureRules: readonly FailureRule[]
}

interface Job {
  readonly jobId: string
  readonly jobName: string
  readonly jobQueue: string
  readonly definition: JobDefinition
  readonly parameters: Readonly<Record<string, string>>
  readonly environment: Readonly<Record<string, string>>
  status: 'RUNNABLE' | 'RUNNING' | 'SUCCEEDED' | 'FAILED'
  statusReason?: string
  /** Reason for which it was terminated. */
  terminated?: string
  child?: ChildProcess
}

export interface LocalBatch {
  readonly endpoint: string
  /** Accepts jobs from now on; before that it answers that it is unavailable. */
  open(plan: BatchPlan, options: BatchOptions): void
  /** Asks the running job to end; waiting jobs fail. */
  stop(): Promise<void>
}

export interface BatchOptions {
  readonly sqs: SQSClient
  readonly log: (line: string) => void
  /** Environment that Batch would not set: the addresses of AWS. */
  readonly environment: Readonly<Record<string, string>>
}

const ROOT = resolve(import.meta.dirname, '../../..')

/** Time between SIGTERM and SIGKILL, as in ECS. */
const GRACE_MS = 30_000

class BatchError extends Error {}

/** @param priority nice value of the processes */
export async function startBatch(
  gate: Gate,
  priority: number = constants.priority.PRIORITY_BELOW_NORMAL,
): Promise<LocalBatch> {
  const jobs = new Map<string, Job>()
  let isStopping = false
  let running: Promise<void> = Promise.resolve()
  let opened: { readonly plan: BatchPlan; readonly options: BatchOptions } | undefined
  const server = createServer(
    forThisMachine((request, response) => {
      handle(request, response).catch(() => response.destroy())
    }),
  )
  const { port } = await listen(server, 0)

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request
    const action = ACTIONS[`${method} ${url}`]
    try {
      if (opened === undefined || isStopping) return answer(response, 500, 'ServerException', { message: 'not there' })
      if (action === undefined) throw new BatchError(`the local Batch knows no ${method} ${url}`)
      const body = parse(await text(request))
      const refusal = gate(PROTOCOLS.batch, { method, url, headers, body })
      if (refusal === undefined) answer(response, 200, undefined, action(body))
      else response.writeHead(refusal.status, refusal.headers).end(refusal.body)
    } catch (error) {
      if (!(error instanceof BatchError)) throw error
      answer(response, 400, 'ClientException', { message: error.message })
    }
  }

  const ACTIONS: Readonly<Record<string, (input: Readonly<Record<string, unknown>>) => object>> = {
    'POST /v1/submitjob': (input) =>
      submit(only(input, ['jobName', 'jobQueue', 'jobDefinition', 'parameters', 'containerOverrides'])),
    'POST /v1/terminatejob': (input) => terminate(only(input, ['jobId', 'reason'])),
    'POST /v1/describejobs': (input) => describe(only(input, ['jobs'])),
  }

  function submit({ jobName, jobQueue, jobDefinition, parameters = {}, containerOverrides = {} }: Input) {
    const { plan } = opened!
    const definition = plan.jobDefinitions.find(({ arn }) => arn === jobDefinition)
    if (definition === undefined || !plan.jobQueues.includes(String(jobQueue))) {
      throw new BatchError(`no such queue or definition: ${jobQueue}, ${jobDefinition}`)
    }
    const { environment = [] } = only(containerOverrides as Input, ['environment'])
    const overrides = environment as readonly { name: string; value: string }[] // Batch's own format
    const jobId = randomUUID()
    jobs.set(jobId, {
      jobId,
      jobName: String(jobName),
      jobQueue: String(jobQueue),
      definition,
      parameters: parameters as Readonly<Record<string, string>>, // Batch's own format
      environment: Object.fromEntries(overrides.map(({ name, value }) => [name, value])),
      status: 'RUNNABLE',
    })
    running = running.then(() => run(jobs.get(jobId)!))
    return { jobId, jobName, jobArn: `arn:aws:batch:${REGION}:${ACCOUNT}:job/${jobId}` }
  }

  function terminate({ jobId, reason }: Input) {
    const job = jobs.get(String(jobId))
    if (job?.status === 'RUNNABLE' || job?.status === 'RUNNING') {
      job.terminated = String(reason)
      end(job)
    }
    return {}
  }

  function describe({ jobs: ids = [] }: Input) {
    const found = (ids as readonly string[]).flatMap((id) => jobs.get(id) ?? []) // Batch's own format
    return { jobs: found.map(detail) }
  }

  async function run(job: Job): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      if (isStopping) return fail(job, 'Host EC2 (this machine) terminated.')
      if (job.terminated !== undefined) return fail(job, job.terminated)
      job.status = 'RUNNING'
      const code = await runOnce(job, attempt)
      if (code === 0) {
        job.status = 'SUCCEEDED'
        return
      }
      if (job.terminated !== undefined) return fail(job, job.terminated)
      const reason = 'Essential container in task exited'
      const { attempts, evaluateOnExit } = job.definition
      if (attempt >= attempts || !isRetried(evaluateOnExit, { code, reason })) return fail(job, reason)
    }
  }

  /** @returns the exit status; 137 after SIGKILL, as for a container */
  async function runOnce(job: Job, attempt: number): Promise<number> {
    const { options } = opened!
    const { command, environment, timeoutMs } = job.definition
    const child = spawn(process.execPath, ['--import', END_WITH_PARENT, ...command], {
      cwd: ROOT,
      env: {
        ...process.env,
        ...options.environment,
        EXECUTION_PROVIDER: 'cpu',
        ...environment,
        ...job.environment,
        AWS_BATCH_JOB_ATTEMPT: String(attempt),
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // A terminal sends Ctrl-C to the whole process group, but this process must end in its turn.
      detached: true,
    })
    forwardLines(child, options.log)
    job.child = child
    if (child.pid !== undefined) setPriorityOf(child.pid, priority)
    const timer = setTimeout(() => end(job), timeoutMs)
    try {
      return await new Promise<number>((resolve) => {
        child.once('close', (code) => resolve(code ?? 137))
        child.once('error', () => resolve(127))
      })
    } finally {
      clearTimeout(timer)
      delete job.child
    }
  }

  async function fail(job: Job, reason: string): Promise<void> {
    const { plan, options } = opened!
    job.status = 'FAILED'
    job.statusReason = reason
    const event = { source: 'aws.batch', detail: detail(job) }
    for (const { jobQueue, queueUrl, paths, template } of plan.failureRules) {
      if (jobQueue !== job.jobQueue) continue
      await sendMessage(options.sqs, queueUrl, transformed(template, paths, event)).catch((error: unknown) => {
        options.log(`an event was not sent: ${error instanceof Error ? error.name : 'unknown'}`)
      })
    }
  }

  return {
    endpoint: `http://127.0.0.1:${port}`,
    open(plan, options) {
      opened = { plan, options }
    },
    async stop() {
      isStopping = true
      for (const job of jobs.values()) end(job)
      await running
      await closeServer(server)
    },
  }
}

type Input = Readonly<Record<string, unknown>>

const detail = ({ jobId, jobName, jobQueue, status, statusReason, parameters }: Job) => ({
  jobId,
  jobName,
  jobQueue,
  status,
  statusReason,
  parameters,
})

/** Sends SIGTERM, and SIGKILL when the process does not end. */
function end({ child }: Job): void {
  if (child === undefined) return
  child.kill('SIGTERM')
  const kill = setTimeout(() => child.kill('SIGKILL'), GRACE_MS)
  child.once('close', () => clearTimeout(kill))
}

/**
 * Linux first divides processor time between sessions, whatever the priorities of the processes in them. A detached process has its own
 * session, which has its own priority.
 */
function setPriorityOf(pid: number, priority: number): void {
  try {
    setPriority(pid, priority)
    if (process.platform === 'linux') writeFileSync(`/proc/${pid}/autogroup`, String(priority))
  } catch {
    // It has already ended, or the kernel does not support autogroups.
  }
}

/** The first matching rule decides; without one, Batch retries. */
export function isRetried(
  rules: readonly ExitRule[],
  exit: { readonly code: number; readonly reason: string },
): boolean {
  const rule = rules.find(
    ({ OnExitCode, OnReason, OnStatusReason }) =>
      matches(OnExitCode, String(exit.code)) && matches(OnReason, '') && matches(OnStatusReason, exit.reason),
  )
  return rule === undefined || rule.Action.toUpperCase() === 'RETRY'
}

function matches(pattern: string | undefined, text: string): boolean {
  if (pattern === undefined) return true
  return pattern.endsWith('*') ? text.startsWith(pattern.slice(0, -1)) : text === pattern
}

/** Applies an input transformer as EventBridge does: values as JSON. */
function transformed(template: string, paths: Readonly<Record<string, string>>, event: unknown): string {
  return template.replace(/<([^<>]+)>/g, (whole, name: string) => {
    const path = paths[name]
    if (path === undefined) return whole
    const value = path
      .split('.')
      .slice(1)
      .reduce<unknown>((at, key) => (isRecord(at) ? at[key] : undefined), event)
    return JSON.stringify(value ?? '')
  })
}

/** @throws BatchError naming a field that is not in `known` */
function only(input: Input, known: readonly string[]): Input {
  const unknown = Object.keys(input).find((name) => !known.includes(name))
  if (unknown !== undefined) throw new BatchError(`the local Batch does not support ${unknown}`)
  return input
}

function parse(body: string): Input {
  const input: unknown = JSON.parse(body)
  if (isRecord(input)) return input
  throw new BatchError('no object')
}

function answer(response: ServerResponse, status: number, error: string | undefined, body: object): void {
  const type = error === undefined ? {} : { 'x-amzn-errortype': error }
  response.writeHead(status, { 'content-type': 'application/json', ...type }).end(JSON.stringify(body))
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer) // no encoding is set
  return Buffer.concat(chunks).toString()
}
