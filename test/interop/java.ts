/**
 * Programs of other people in Java, from Maven Central: our few lines that start them, compiled once. Run only where they are asked for, since the first
 * time downloads them into Maven's own cache.
 * @module
 */
import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const has = (command: string, option: string) => spawnSync(command, [option], { stdio: 'ignore' }).status === 0

/** Why Java programs cannot run here; `undefined` if they can. */
export function whyNoJava(): string | undefined {
  if (process.env.CARDIACNETS_INTEROP === undefined) return 'not asked for: set CARDIACNETS_INTEROP=1'
  if (!has('javac', '-version')) return 'no JDK (17 or newer) on the path'
  if (!has('mvn', '-version')) return 'no Maven on the path'
  return undefined
}

/**
 * The class path of `NAME.java` in a folder with a `pom.xml`, compiled. Kept for the next time, as long as neither changes.
 */
export async function builtClasspath(folder: string, name: string): Promise<string> {
  const [pom, source] = [join(folder, 'pom.xml'), join(folder, `${name}.java`)]
  const key = createHash('sha256').update(readFileSync(pom)).update(readFileSync(source)).digest('hex').slice(0, 16)
  const built = join(tmpdir(), `cardiacnets-${name.toLowerCase()}-${key}`)
  const list = join(built, 'classpath')
  const run = promisify(execFile)
  if (!existsSync(join(built, `${name}.class`))) {
    mkdirSync(built, { recursive: true })
    await run('mvn', ['-q', '-B', '-f', pom, 'dependency:build-classpath', `-Dmdep.outputFile=${list}`])
    await run('javac', ['-cp', readFileSync(list, 'utf8'), '-d', built, source])
  }
  return [built, folder, readFileSync(list, 'utf8')].join(delimiter)
}
