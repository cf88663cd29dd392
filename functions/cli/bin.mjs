#!/usr/bin/env node
/**
 * `cardiacnets`, as npm links it: runs the built files or, in a clone, the sources.
 * @module
 */
import { existsSync } from 'node:fs'

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 13)) {
  process.stderr.write(`cardiacnets needs Node.js 22.13 or newer; this is ${process.version}\n`)
  process.exit(2)
}

// Node.js 22 warns at each start that node:sqlite is experimental.
const listeners = process.listeners('warning')
process.removeAllListeners('warning')
process.on('warning', (warning) => {
  if (warning.name !== 'ExperimentalWarning') for (const print of listeners) print(warning)
})

const main = ['./main.ts', './main.js'].map((name) => new URL(name, import.meta.url)).find((file) => existsSync(file))
if (main === undefined) {
  process.stderr.write('This package was packed without its build. In the clone, pack it with: npm run package\n')
  process.exit(1)
}
await import(main)
