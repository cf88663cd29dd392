/**
 * npm runs this script before it installs a package that a bare `npm pack` made from a clone, which is neither sources nor a build.
 * `.npmrc` has `ignore-scripts`, so `npm pack` cannot build by itself, and `npm ci` in a clone does not run this script.
 * @module
 */
import { existsSync } from 'node:fs'

if (!existsSync(new URL('../../functions/cli/main.ts', import.meta.url))) {
  process.stderr.write('This package was packed without its build. In the clone, pack it with: npm run package\n')
  process.exit(1)
}
