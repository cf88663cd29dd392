/**
 * What esbuild is told for every bundle that Node runs: ES modules, small, packages' CommonJS among them.
 * @module
 */
import type { BuildOptions } from 'esbuild'

export const NODE_BUNDLE = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  mainFields: ['module', 'main'],
  minifyWhitespace: true,
  minifySyntax: true,
  metafile: true,
  logLevel: 'error',
  // CommonJS packages call `require` for Node's own modules.
  banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
} satisfies BuildOptions
