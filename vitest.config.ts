import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

// Compiled code is kept between runs, also for the processes that tests start: each of them starts half a second sooner.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, 'node_modules/.cache/compile')

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/helpers/logs.ts'],
    testTimeout: 60_000,
    hookTimeout: 240_000,
    maxWorkers: '100%',
  },
})
