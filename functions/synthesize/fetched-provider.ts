/**
 * Checks the CUDA provider against `cuda-provider.json` when the image is built: npm's lock file covers packages, and onnxruntime's script fetches
 * these files from NuGet without a checksum.
 *
 * `null` means that nobody has recorded a file yet: the build goes on and prints what to record. Another version of onnxruntime, or another sum, ends
 * the build.
 * @module
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What `cuda-provider.json` holds. */
export interface Recorded {
  /** The version of `onnxruntime-node` that fetches these files. */
  readonly onnxruntime: string
  /** By file. */
  readonly sha256: Readonly<Record<string, string | null>>
}

/**
 * @param folder where the files lie
 * @param version of the installed `onnxruntime-node`
 * @returns a line for each file that is not recorded
 * @throws Error where something else was fetched than what was recorded
 */
export function checkFetched(recorded: Recorded, folder: string, version: string): readonly string[] {
  if (version !== recorded.onnxruntime) {
    throw new Error(
      `cuda-provider.json is of onnxruntime ${recorded.onnxruntime}, and ${version} is installed: record its files`,
    )
  }
  return Object.entries(recorded.sha256).flatMap(([file, wanted]) => {
    const sum = createHash('sha256')
      .update(readFileSync(join(folder, file)))
      .digest('hex')
    if (sum === wanted) return []
    if (wanted === null) return [`not recorded: compare and write into cuda-provider.json: "${file}": "${sum}"`]
    throw new Error(`${file} has the sha256 ${sum}, and ${wanted} was recorded: do not use it`)
  })
}

if (import.meta.main) {
  const [record = '', module = ''] = process.argv.slice(2)
  const read = (file: string) => JSON.parse(readFileSync(file, 'utf8'))
  const { version } = read(join(module, 'package.json'))
  for (const line of checkFetched(read(record), join(module, 'bin/napi-v6/linux/x64'), version)) console.warn(line)
}
