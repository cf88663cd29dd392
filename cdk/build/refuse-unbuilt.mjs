/**
 * npm runs it before it installs what a bare `npm pack` made of the clone: a package that is neither sources nor a build.
 * `.npmrc` has `ignore-scripts`, so `npm pack` cannot build by itself, and `npm ci` in a clone does not run this.
 * @module
 */
import { existsSync } from 'node:fs'

if (!existsSync(new URL('../../functions/cli/main.ts', import.meta.url))) {
  process.stderr.write('This package was packed without its build. In the clone, pack it with: npm run package\n')
  process.exit(1)
}
