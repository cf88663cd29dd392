import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { bundleFunctions, type FunctionName, filesOf, zippedBytes } from '../../../cdk/build/lambda-bundle.ts'
import { readModel, stageModel } from '../../../cdk/build/model-layer.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'

const MEGABYTE = 1e6

let bundles: Readonly<Record<FunctionName, string>>

beforeAll(() => {
  bundles = bundleFunctions('linux-arm64', temporaryFolder())
})

describe('the bundle of the screen function', () => {
  it('contains the binary of its target only', () => {
    const binaries = filesOf(bundles.screen).filter((file) => /\.(node|so|dll|dylib)(\.\d+)*$/.test(file))

    const folder = join('node_modules/onnxruntime-node/bin/napi-v6/linux/arm64')
    expect(binaries).toEqual([join(folder, 'libonnxruntime.so.1'), join(folder, 'onnxruntime_binding.node')])
  })

  it('stays below 40 MB zipped, with the model in its layer', () => {
    const layer = stageModel(readModel(), temporaryFolder())

    expect(zippedBytes(bundles.screen) + zippedBytes(layer)).toBeLessThan(40 * MEGABYTE)
  })
})

it.each([
  // It reads windows that devices send in protobuf.
  ['preprocess', ['ecg.proto', 'handler.mjs']],
  ['api', ['handler.mjs']],
] as const)('the bundle of %s contains only its code, below 1 MB zipped', (name, files) => {
  expect(filesOf(bundles[name])).toEqual(files)
  expect(zippedBytes(bundles[name])).toBeLessThan(MEGABYTE)
})
