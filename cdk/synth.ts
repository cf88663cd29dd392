/**
 * `npm run synth`: writes the cloud assembly, offline, and says how big each function is. The local stack runs it with `--host`.
 * @module
 */
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { createApp } from './app.ts'
import { FUNCTION_NAMES, hostTarget, zippedBytes } from './lambda-bundle.ts'
import { STACK_NAME } from './stack-name.ts'

const { values } = parseArgs({
  options: {
    outdir: { type: 'string', default: 'cdk.out' },
    /** For this machine rather than for Lambda. */
    host: { type: 'boolean', default: false },
  },
})

const app = createApp({
  outdir: values.outdir,
  ...(values.host ? { target: hostTarget(), synthesisImage: 'this-machine' } : {}),
})
const template = app.synth().getStackByName(STACK_NAME).templateFullPath
if (!values.host) {
  console.log(relative(process.cwd(), template))
  for (const name of FUNCTION_NAMES) {
    const megabytes = zippedBytes(join(app.outdir, 'functions', name)) / 1e6
    console.log(`${name.padEnd(12)}${megabytes.toFixed(1).padStart(6)} MB zipped`)
  }
}
