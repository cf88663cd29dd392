import { join } from 'node:path'
import { defineConfig } from 'vitest/config'

// Compiled code is kept between runs, also for the processes that tests start: each of them starts half a second sooner.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, 'node_modules/.cache/compile')

const EVERYTHING = 'test/**/*.test.ts'

/** Files that open no socket and start no process. */
const UNIT = [
  'test/console/{drawing,markdown,words}.test.ts',
  'test/functions/cli/evaluate/{cohort,metrics,plots,site-fit}.test.ts',
  'test/house/{assertions,dockerfiles,imports,licences,lock-file,prose,regulatory,sizes}.test.ts',
  'test/shared/*.test.ts',
  'test/shared/{config,domain,inference,signal,waveform}/**/*.test.ts',
  'test/streams/client/*.test.ts',
  'test/streams/formats/**/*.test.ts',
  'test/streams/hl7/{beds,messages,oru-in}.test.ts',
]

/** Files that are about the real ECGs in `../shared/data`, or about many of them. */
const DATA = [
  'test/shared/inference/real-ecgs.test.ts',
  'test/shared/signal/{delineation,electrodes,quality-gate,r-peaks}.test.ts',
  'test/streams/formats/{agreement,mutations,wild,zoo-text}.test.ts',
]

const common = { setupFiles: ['test/helpers/logs.ts'], testTimeout: 60_000, hookTimeout: 240_000 }

export default defineConfig({
  test: {
    maxWorkers: '100%',
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          include: UNIT,
          exclude: DATA,
          setupFiles: [...common.setupFiles, 'test/helpers/unit.ts'],
          isolate: false,
        },
      },
      { test: { ...common, name: 'data', include: DATA } },
      { test: { ...common, name: 'stack', include: [EVERYTHING], exclude: [...UNIT, ...DATA] } },
    ],
  },
})
