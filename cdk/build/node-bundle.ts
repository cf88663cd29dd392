/**
 * esbuild options of every bundle that runs in Node: small ES modules that include CommonJS packages.
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
