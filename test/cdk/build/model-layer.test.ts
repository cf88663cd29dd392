import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { type AppOptions, createApp } from '../../../cdk/app.ts'
import { FUNCTION_NAMES, filesOf } from '../../../cdk/build/lambda-bundle.ts'
import { readModel, stageModel } from '../../../cdk/build/model-layer.ts'
import { STACK_NAME } from '../../../cdk/stack-name.ts'
import { parseSiteConfig } from '../../../shared/config/site.ts'
import { SHIPPED_BUNDLE } from '../../../shared/inference/active-bundle.ts'
import { SITE_FILE } from '../../../shared/inference/site-calibration.ts'
import { otherBundle } from '../../helpers/other-bundle.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { functionFolder } from '../helpers/assembly.ts'

type Resources = Readonly<Record<string, { readonly Type: string; readonly Properties?: Record<string, unknown> }>>

let bundles: NonNullable<AppOptions['bundles']>
beforeAll(async () => {
  const folder = await functionFolder('export const handler = async () => {}')
  bundles = Object.fromEntries(FUNCTION_NAMES.map((name) => [name, folder])) as typeof bundles // one entry a name
})

function deployed(bundle: string, deployment = {}): Resources {
  const site = parseSiteConfig(JSON.stringify({ deployment }))
  const app = createApp({
    outdir: temporaryFolder(),
    target: 'linux-arm64',
    bundles,
    site,
    model: readModel(bundle),
    synthesisImage: 'registry.example/synthesize:1',
  })
  return app.synth().getStackArtifact(STACK_NAME).template.Resources
}

const SCREENS_ONLY = { synthesis: 'off' }

/** Types of the resources that are not the same in both, one a resource. */
function changedTypes(former: Resources, other: Resources): string[] {
  const ids = [...new Set([...Object.keys(former), ...Object.keys(other)])]
  const changed = ids.filter((id) => JSON.stringify(former[id]) !== JSON.stringify(other[id]))
  return changed.map((id) => (former[id] ?? other[id])!.Type).sort()
}

/** Three syntheses on a machine that can be busy. */
const SYNTHESES_MS = 180_000

describe('deploying another model bundle', () => {
  it(
    'changes the layer, its function versions and the bundle that the API reports; the former bundle restores all three',
    () => {
      const former = deployed(SHIPPED_BUNDLE, SCREENS_ONLY)
      const other = deployed(otherBundle(temporaryFolder()), SCREENS_ONLY)

      const times = (count: number, type: string) => Array.from({ length: count }, () => type)
      expect(changedTypes(former, other)).toEqual([
        // screen and upkeep (attribution) read the layer; the API and the events function receive the bundle's checksum.
        ...times(4, 'AWS::Lambda::Alias'),
        ...times(2, 'AWS::Lambda::Function'),
        'AWS::Lambda::LayerVersion',
        // Of each the former, which is kept, and the new one.
        ...times(8, 'AWS::Lambda::Version'),
      ])
      expect(deployed(SHIPPED_BUNDLE, SCREENS_ONLY)).toEqual(former)
    },
    SYNTHESES_MS,
  )

  it(
    'changes nothing more when the bundle has synthesis',
    () => {
      const types = changedTypes(deployed(SHIPPED_BUNDLE), deployed(otherBundle(temporaryFolder())))

      expect(types.filter((type) => type === 'AWS::Lambda::Alias')).toHaveLength(4)
      expect(types.filter((type) => type === 'AWS::Lambda::Function')).toHaveLength(2)
      expect(types.filter((type) => !type.startsWith('AWS::Lambda::'))).toEqual([])
    },
    SYNTHESES_MS,
  )
})

describe('the model layer', () => {
  it('contains only what screening reads', () => {
    const layer = stageModel(readModel(SHIPPED_BUNDLE), temporaryFolder())

    expect(filesOf(layer)).toEqual(
      ['drift-reference.json', 'manifest.json', 'screen.onnx'].map((file) => join('model', file)),
    )
  })

  it('contains the site calibration beside the bundle', () => {
    const bundle = otherBundle(temporaryFolder())
    appendFileSync(join(bundle, SITE_FILE), '{}')

    const layer = stageModel(readModel(bundle), temporaryFolder())

    expect(filesOf(layer)).toContain(join('model', SITE_FILE))
  })

  it('is refused for a file that differs from the manifest', () => {
    const bundle = otherBundle(temporaryFolder())
    appendFileSync(join(bundle, 'screen.onnx'), ' ')

    const stage = () => stageModel(readModel(bundle), temporaryFolder())

    expect(stage).toThrow('screen.onnx of')
  })

  it('is refused for a folder without a bundle', () => {
    expect(() => readModel(temporaryFolder())).toThrow('bundle-missing')
  })
})
