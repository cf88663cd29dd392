import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/helpers/sequencer.ts'

// Compiled code is kept between runs, also for the processes that tests start: each of them starts half a second sooner.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, 'node_modules/.cache/compile')

const EVERYTHING = 'test/**/*.test.ts'

/** Files that open no socket and start no process. */
const UNIT = [
  'test/console/{drawing,markdown,words}.test.ts',
  'test/functions/cli/evaluate/{cohort,metrics,plots,site-fit}.test.ts',
  'test/house/{assertions,dockerfiles,imports,licences,links,lock-file,prose,regulatory,sizes}.test.ts',
  'test/shared/*.test.ts',
  'test/shared/{config,domain,inference,signal,waveform}/**/*.test.ts',
  'test/streams/client/*.test.ts',
  'test/streams/formats/**/*.test.ts',
  'test/streams/hl7/{beds,messages,oru-in,report-page}.test.ts',
]

/** Files that are about the real ECGs in `../shared/data`, or about many of them. */
const DATA = [
  'test/shared/inference/real-ecgs.test.ts',
  'test/shared/signal/{delineation,electrodes,quality-gate,r-peaks}.test.ts',
  'test/streams/formats/{agreement,mutations,wild,zoo-text}.test.ts',
]

/** Files that read what CDK synthesizes. They share a process: CDK is loaded once, and each site is synthesized once (`test/cdk/helpers/templates.ts`). */
const TEMPLATE = [
  'test/cdk/{sites,stack}.test.ts',
  'test/cdk/build/model-layer.test.ts',
  'test/cdk/constructs/{identity,observability,upgrades}.test.ts',
]

/** Files that open sockets and leave their process as they found it. They share one, so that the clients and servers that they use are loaded once. */
const SERVED = [
  'test/cdk/local/{adapter-task,broker-address,companion,data-folder,events,graceful-stop,main,sandbox-ehr,stack,stop-by-pid}.test.ts',
  'test/cdk/bench/parts.test.ts',
  'test/cdk/local/aws/{batch,broker,event-source,http-api,iot,schedule}.test.ts',
  'test/cdk/local/iam/permissions.test.ts',
  'test/cdk/local/lambda/runtime-api.test.ts',
  'test/cdk/local/template/*.test.ts',
  'test/functions/{corrections,report,sign-in,synthesis-dispatch,upkeep}.test.ts',
  'test/functions/api/{answers,audit,auth,cmr,console,devices,ecgs,events,explanations,limits,parsing,server,versions}.test.ts',
  'test/functions/cli/{cli,closed-pipe,erase,redrive,screen-many,synthesize,unreachable,withdraw}.test.ts',
  'test/functions/synthesize/*.test.ts',
  'test/security/{regular-expressions,request-lines,slow-input}.test.ts',
  'test/shared/intake/*.test.ts',
  'test/shared/store/*.test.ts',
  'test/streams/dicom/*.test.ts',
  'test/streams/fhir/**/*.test.ts',
  'test/house/{models,readme}.test.ts',
  'test/interop/four-doors.test.ts',
  'test/streams/gateway/{clock,corrections,dockerfile,forwarder,iot-credentials,log-file,mllp-tls,mqtt-door}.test.ts',
  'test/streams/gateway/{power-loss,privacy,results-to-devices,silence,store,unwritable-disk}.test.ts',
  'test/streams/hl7/*.test.ts',
  'test/streams/mqtt/{adapter,adapter-mosquitto,alive,config,connection,corrections,device,dockerfile,flood}.test.ts',
  'test/streams/mqtt/{frame-codec,health,ingest,intake-message}.test.ts',
  'test/streams/mqtt/{journal,kept-frames,limits,listening,missed-results,outbox,packed-frames,pauses,results,topics,window-assembler}.test.ts',
]

const common = {
  setupFiles: ['test/helpers/logs.ts', 'test/helpers/leftovers.ts'],
  testTimeout: 60_000,
  hookTimeout: 240_000,
  // The default of one second is short on a busy machine, where a screenshot alone takes longer.
  expect: { poll: { timeout: 20_000 } },
}

/** Tells `leftovers.ts` that files run one after the other in one process. */
const SHARED = { SHARED_PROCESS: 'yes' }

export default defineConfig({
  test: {
    maxWorkers: '100%',
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          include: UNIT,
          exclude: DATA,
          setupFiles: [...common.setupFiles, 'test/helpers/unit.ts'],
          isolate: false,
          env: SHARED,
        },
      },
      { test: { ...common, name: 'data', include: DATA } },
      { test: { ...common, name: 'served', include: SERVED, exclude: UNIT, isolate: false, env: SHARED } },
      { test: { ...common, name: 'template', include: TEMPLATE, isolate: false, env: SHARED } },
      {
        test: { ...common, name: 'stack', include: [EVERYTHING], exclude: [...UNIT, ...DATA, ...SERVED, ...TEMPLATE] },
      },
    ],
  },
})
