/**
 * `npm run synth`: writes the cloud assembly of every example site, offline, and prints the size of each function. With `--site`, only that
 * site's. The local stack runs it with `--host` for the site in its context.
 * @module
 */
import { join, parse, relative } from 'node:path'
import { Command } from 'commander'
import { createApp } from './app.ts'
import {
  bundleFunctions,
  FUNCTION_NAMES,
  type FunctionName,
  hostTarget,
  type Target,
  zippedBytes,
} from './build/lambda-bundle.ts'
import { readModel, stageModel } from './build/model-layer.ts'
import { checkRules } from './constructs/nag.ts'
import { exampleSites, readSite } from './site.ts'
import { STACK_NAME } from './stack-name.ts'

const values = new Command('npm run synth --')
  .description('Writes the cloud assembly of every example site, offline, and prints the size of each function.')
  .option('--outdir <folder>', 'where to write', 'cdk.out')
  .option('--site <name|file>', 'only this site: an example of cdk/sites, or a file')
  .option('--host', 'for this machine instead of Lambda')
  .parse()
  .opts<{ outdir: string; site?: string; host?: true }>()

if (values.host) createApp({ outdir: values.outdir, target: hostTarget(), synthesisImage: 'this-machine' }).synth()
else synthesizeSites(values.site === undefined ? exampleSites() : [values.site])

function synthesizeSites(names: readonly string[]): void {
  const built = new Map<Target, Readonly<Record<FunctionName, string>>>()
  const bundlesFor = (target: Target) => {
    const bundles = built.get(target) ?? bundleFunctions(target, join(values.outdir, 'functions', target))
    built.set(target, bundles)
    return bundles
  }
  const lines = names.map((name) => {
    const site = readSite(name)
    const target: Target = `linux-${site.deployment.architecture}`
    const app = checkRules(
      createApp({
        outdir: join(values.outdir, parse(name).name),
        site,
        target,
        bundles: bundlesFor(target),
        validation: true,
      }),
    )
    const { template, templateFullPath } = app.synth().getStackArtifact(STACK_NAME)
    const resources = Object.keys(template.Resources).length
    return `${name.padEnd(16)}${String(resources).padStart(4)} resources  ${relative(process.cwd(), templateFullPath)}`
  })
  const sizeLine = (name: string, folder: string, where: string) =>
    console.log(`${name.padEnd(20)}${(zippedBytes(folder) / 1e6).toFixed(1).padStart(6)} MB zipped, ${where}`)
  for (const [target, bundles] of built) {
    for (const name of FUNCTION_NAMES) sizeLine(name, bundles[name], target)
  }
  sizeLine('model', stageModel(readModel(), values.outdir), 'a layer of screen')
  for (const line of lines) console.log(line)
}
