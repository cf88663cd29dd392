/**
 * `node cdk/bench/measure.ts EVENT.json`: cold start of `screen` with that event, and the zipped size of each function and of the model
 * layer, as one JSON document. `cardiacnets bench` runs it as a process, because no other code may import `cdk`.
 * @module
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundleFunctions, type Target, zippedBytes } from '../build/lambda-bundle.ts'
import { readModel, stageModel } from '../build/model-layer.ts'
import { startLocalStack } from '../local/stack.ts'
import { type ColdStart, measureColdStart } from './cold-start.ts'

const COLD_STARTS = 7

const event = await readFile(process.argv[2]!, 'utf8')
const folder = await mkdtemp(join(tmpdir(), 'cardiacnets-measure-'))
const stack = await startLocalStack({ withoutAdapter: true })
try {
  const starts: ColdStart[] = []
  for (let i = 0; i < COLD_STARTS; i++) starts.push(await measureColdStart(stack.functions.screen!.spec, event))
  const [median] = starts.toSorted((a, b) => a.firstAnswerMs - b.firstAnswerMs).slice(COLD_STARTS >> 1)
  const memoryMb = Object.fromEntries(Object.values(stack.functions).map(({ spec }) => [spec.name, spec.memoryMb]))
  const modelMb = megabytes(zippedBytes(stageModel(readModel(), folder)))
  const zipMb = Object.fromEntries(
    (['linux-arm64', 'linux-x64'] satisfies Target[]).map((target) => {
      const folders = Object.entries(bundleFunctions(target, join(folder, target)))
      const sizes = folders.map(([name, each]) => [name, megabytes(zippedBytes(each))])
      return [target, Object.fromEntries([...sizes, ['model', modelMb]])]
    }),
  )
  console.log(
    JSON.stringify({
      coldStartMs: Math.round(median!.firstAnswerMs),
      initMs: Math.round(median!.initMs),
      memoryMb,
      zipMb,
    }),
  )
} finally {
  await stack.stop()
  await rm(folder, { recursive: true })
}

function megabytes(bytes: number): number {
  return Number((bytes / 1e6).toFixed(1))
}
