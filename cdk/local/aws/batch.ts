/**
 * AWS Batch on this machine: the part of its API that `@aws-sdk/client-batch` needs to submit and end jobs, which run as child processes, one at a time and at
 * low priority, so that screening keeps its budget.
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
  /** To `node`, from the repository's root: the image has the same layout. */
  readonly command: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly attempts: number
  readonly evaluateOnExit: readonly ExitRule[]
  readonly timeoutMs: number
}

/** All that it names must match; `*` at the end stands for anything. */
export interface ExitRule {
  readonly Action: string
  readonly OnExitCode?: string
  readonly OnReason?: string
  readonly OnStatusReason?: string
}

/** What is sent when a job of the queue has failed. */
export interface FailureRule {
  readonly jobQueue: string
  readonly queueUrl: string
  /** Of EventBridge's input transformer: names in `template` as `<name>`, and the paths of what they stand for. */
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
  /** Why it was ended from outside. */
  terminated?: string
  child?: ChildProcess
}

export interface LocalBatch {
  readonly endpoint: string
  /** Takes jobs from now on; before, it says that it is away. */
  open(plan: BatchPlan, options: BatchOptions): void
  /** Asks what runs to end; what waits has failed. */
  stop(): Promise<void>
}

export interface BatchOptions {
  readonly sqs: SQSClient
  readonly log: (line: string) => void
  /** What Batch would not set: where AWS is. */
  readonly environment: Readonly<Record<string, string>>
}

const ROOT = resolve(import.meta.dirname, '../../..')

/** Between SIGTERM and SIGKILL, as ECS has it. */
const GRACE_MS = 30_000

class BatchError extends Error {}

/** @param priority of the processes, as `nice` counts it */
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
    const overrides = environment as readonly { name: string; value: string }[] // Batch's own shape
    const jobId = randomUUID()
    jobs.set(jobId, {
      jobId,
      jobName: String(jobName),
      jobQueue: String(jobQueue),
      definition,
      parameters: parameters as Readonly<Record<string, string>>, // Batch's own shape
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
    const found = (ids as readonly string[]).flatMap((id) => jobs.get(id) ?? []) // Batch's own shape
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

  /** @returns the exit status; 137 after SIGKILL, as a container has it */
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
      // Ctrl-C goes to the whole group of a terminal; this process is to end in its turn, not with it.
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

/** SIGTERM, and SIGKILL for what does not heed it. */
function end({ child }: Job): void {
  if (child === undefined) return
  child.kill('SIGTERM')
  const kill = setTimeout(() => child.kill('SIGKILL'), GRACE_MS)
  child.once('close', () => clearTimeout(kill))
}

/**
 * Linux shares processor time between sessions first, whatever the priorities of processes within them; a detached process has a session
 * of its own, which has a priority of its own.
 */
function setPriorityOf(pid: number, priority: number): void {
  try {
    setPriority(pid, priority)
    if (process.platform === 'linux') writeFileSync(`/proc/${pid}/autogroup`, String(priority))
  } catch {
    // It has ended already, or the kernel does not group.
  }
}

/** The first rule that matches decides; where none does, Batch tries again. */
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

/** As EventBridge puts an event into a template: values as JSON. */
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

/** @throws BatchError naming what is not among `known` */
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
