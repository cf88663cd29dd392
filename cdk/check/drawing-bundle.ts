/**
 * A bundle that screens like the shipped one and draws with tiny random networks, for `stack:check` and the tests.
 * @module
 */
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { SHIPPED_BUNDLE } from '../../shared/inference/active-bundle.ts'
import type { Manifest } from '../../shared/inference/bundle.ts'

/** Random weights in the form of a bundle, made by `python -m cardiacnets.cli.synthesis_fixture`. */
export const TINY_BUNDLE = resolve(import.meta.dirname, '../../test/fixtures/synthesis')

const SCREEN = 'screen.onnx'

/**
 * Makes a bundle that screens like the shipped one and draws with the tiny networks.
 * @param change changes to its manifest
 */
export async function makeDrawingBundle(
  directory: string,
  change: (manifest: Manifest) => Partial<Manifest> = () => ({}),
): Promise<string> {
  const read = async (from: string): Promise<Manifest> =>
    JSON.parse(await readFile(join(from, 'manifest.json'), 'utf8'))
  const [shipped, tiny] = [await read(SHIPPED_BUNDLE), await read(TINY_BUNDLE)]
  await cp(TINY_BUNDLE, directory, { recursive: true })
  await cp(join(SHIPPED_BUNDLE, SCREEN), join(directory, SCREEN))
  const manifest: Manifest = {
    ...shipped,
    name: 'cardiacnets-test',
    files: [...tiny.files, ...shipped.files.filter(({ path }) => path === SCREEN)],
    tensors: { ...tiny.tensors, [SCREEN]: shipped.tensors[SCREEN]! },
    synthesis: tiny.synthesis,
  }
  await writeFile(join(directory, 'manifest.json'), JSON.stringify({ ...manifest, ...change(manifest) }))
  return directory
}
