/**
 * The order of files in a run: what takes long starts first, so that all workers end at about the same time.
 * @module
 */
import { relative } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files of one project follow each other: only then do those that share a process keep it. The short files are last. */
const PROJECTS = ['stack', 'template', 'data', 'served', 'unit']

/** Where no earlier run says how long a file takes: the longest, in their order. */
const LONGEST = [
  'console/console',
  'security/attack',
  'privacy/markers',
  'streams/gateway/bundles',
  'house/package',
  'cdk/local/synthesis',
  'cdk/check/check',
  'cdk/local/main',
  'interop/hapi',
  'interop/orthanc',
  'streams/gateway/gateway',
  'cdk/local/aws/emulators',
]

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.sort((a, b) => placeOf(a) - placeOf(b) || this.#lengthOf(a) - this.#lengthOf(b))
  }

  /** Less is longer; 0 where an earlier run has said it, which `super` goes by. */
  #lengthOf(file: TestSpecification): number {
    if (this.ctx.cache.getTestSpecificationResult(file) !== undefined) return 0
    const name = relative('test', file.moduleId).replace('.test.ts', '')
    const place = LONGEST.indexOf(name)
    return place === -1 ? 0 : place - LONGEST.length
  }
}

const placeOf = ({ project }: TestSpecification): number => PROJECTS.indexOf(project.name)
