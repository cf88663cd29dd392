/**
 * `npm run scale -- --devices 1000000`: which limit of AWS or of this design so many live devices meet, in the order in which they do.
 * @module
 */
import { Command, InvalidArgumentError } from 'commander'
import { type Measured, readMeasured } from './measured.ts'
import { QUOTAS, QUOTAS_DATE, type Quota } from './quotas.ts'
import { table } from './report.ts'
import { serviceSeconds, writeUnits } from './service.ts'

/** A window each. */
const WINDOW_S = 10
/** How long a message that failed is hidden (`cdk/constructs/queue.ts`). */
const VISIBILITY_S = 60
const HOUR_S = 3600
/** An adapter's core is full at this share. */
const FULL = 0.6

interface Limit {
  readonly what: string
  readonly quota: Quota
  /** Of the quota's unit, what one device takes. */
  readonly aDevice: number
  readonly change: string
}

/** Each limit of the path; `aDevice` is from measured times and sizes. */
function limits(measured: Measured): readonly Limit[] {
  const { preprocess, screen } = serviceSeconds(measured)
  const windows = 1 / WINDOW_S
  const frames = measured.adapter.framesPerSecond
  const { devices, cores, framesPerSecondAConnection } = measured.adapter
  return [
    {
      what: 'IoT Core, one connection of an adapter',
      quota: QUOTAS.iotConnectionMessages,
      aDevice: frames,
      change: '`connections`: that many shared subscriptions feed one journal (built)',
    },
    {
      what: 'a whole core of an adapter',
      quota: { value: FULL, unit: `of a core, ${Math.round(FULL * 100)}% being full` },
      aDevice: cores / devices,
      change:
        'more `shards`, each with tenants of its own (built); a tenant of more than one shard’s devices needs a shard by hash of the device, which is not built',
    },
    {
      what: 'one connection of an adapter, by its journal’s commits',
      quota: { value: framesPerSecondAConnection, unit: 'frames a second' },
      aDevice: frames,
      change: '`connections` again, or a broker with a larger window of unacknowledged messages',
    },
    {
      what: 'SQS in flight while a dependency is away (each message is hidden for 60 s)',
      quota: QUOTAS.sqsInFlight,
      aDevice: windows * VISIBILITY_S,
      change:
        'none: SQS hands out no more, the rest waits in the queue for up to four days, and drains. It only looks like a stop',
    },
    {
      what: 'index `byArrival`, whose key is the tenant',
      quota: QUOTAS.dynamoPartitionWrites,
      aDevice: windows,
      change:
        'key `tenant#n`, n by hash of the ECG; a list asks all n and merges. Until then: more tenants. A throttled index throttles the table',
    },
    {
      what: 'IoT Core, frames in',
      quota: QUOTAS.iotPublishes,
      aDevice: frames,
      change:
        'ask for more; from here on devices should send windows (twenty times fewer messages), or a broker of one’s own takes the frames',
    },
    {
      what: 'a new table',
      quota: QUOTAS.dynamoNewTableWrites,
      aDevice: windows * writeUnits(measured),
      change: 'set the table’s warm throughput before the devices come; it doubles by itself in half an hour',
    },
    {
      what: 'S3, one prefix that was not split yet',
      quota: QUOTAS.s3Puts,
      aDevice: windows,
      change:
        'none at a steady rise: keys end in a random id, so S3 splits by itself, and retries bridge it. Beyond 100,000 devices an object an hour of a session, rather than a window, also for its cost',
    },
    {
      what: 'a table',
      quota: QUOTAS.dynamoTableWrites,
      aDevice: windows * writeUnits(measured),
      change: 'ask for more; or a result below 2 KB (a zstd dictionary), which takes three units rather than four',
    },
    {
      what: 'functions at once of an account, one window a batch',
      quota: QUOTAS.lambdaConcurrency,
      aDevice: windows * (preprocess + screen),
      change: 'ask for more (tens of thousands are usual); `deployment.devices` sets what each function may take of it',
    },
    {
      what: 'IoT Core, windows in',
      quota: QUOTAS.iotPublishes,
      aDevice: windows,
      change:
        'ask for more; beyond a few hundred thousand devices, an account (a cell of the whole stack) for each so many tenants',
    },
    {
      what: 'queue `intake`, its batches at once',
      quota: QUOTAS.mappingBatches,
      aDevice: windows * preprocess,
      change: 'a second queue with the same function: by tenant, since the rule and the adapter know it',
    },
    {
      what: 'queue `screening`, its batches at once',
      quota: QUOTAS.mappingBatches,
      aDevice: windows * screen,
      change:
        'the same; or `preprocess` and `screen` in one function, which saves a queue and 1.2 USD a million windows, and puts them in one line of failure',
    },
    {
      what: 'SNS, results',
      quota: QUOTAS.snsPublishes,
      aDevice: windows,
      change: '`screen` sends to the queues itself, of which there are two: one request less as well',
    },
    {
      what: 'IoT Core, connections',
      quota: QUOTAS.iotConnections,
      aDevice: 1,
      change: 'ask for more, or a cell for each half million',
    },
  ]
}

export function scaleReport(devices: number, measured: Measured = readMeasured()): string {
  const { preprocess, screen } = serviceSeconds(measured)
  const windows = devices / WINDOW_S
  const ladder = limits(measured)
    .map((limit) => ({ ...limit, at: limit.quota.value / limit.aDevice }))
    .sort((a, b) => a.at - b.at)
  return [
    `**${count(devices)} devices**, a window each every ${WINDOW_S} s; service times of ${measured.date} (bundle ${measured.bundle}), quotas of us-east-1 on ${QUOTAS_DATE}.`,
    table(
      ['', 'needs'],
      [
        ['windows a second', count(windows)],
        ['`preprocess` at once, one window a batch', count(windows * preprocess)],
        ['`screen` at once', count(windows * screen)],
        [
          'minutes until Lambda polls that fast (300 batches more a minute)',
          count((windows * preprocess) / QUOTAS.mappingRamp.value),
        ],
        ['messages in flight, batches of ten', count(10 * windows * (preprocess + screen))],
        ['write units a second', count(windows * writeUnits(measured))],
        [
          'PUTs a second; prefixes that S3 must split into',
          `${count(windows)}; ${count(windows / QUOTAS.s3Puts.value)}`,
        ],
        ['results published a second', count(windows)],
        ['with frames: messages a second into the broker', count(devices * measured.adapter.framesPerSecond)],
        ['with frames: cores of adapters', count((devices * measured.adapter.cores) / measured.adapter.devices / FULL)],
        [
          'after a loss of all connections: minutes until IoT Core let everybody in',
          count(devices / QUOTAS.iotConnects.value / 60),
        ],
      ],
    ),
    table(
      ['devices', 'limit', 'quota', 'what to change'],
      ladder.map(({ at, what, quota, change }) => [
        `${at > devices ? '' : '**'}${count(at)}${at > devices ? '' : '**'}`,
        what,
        `${count(quota.value)} ${quota.unit}${quota.isHard ? ', fixed' : ''}`,
        change,
      ]),
    ),
    table(
      [
        'devices',
        'windows of an hour',
        '`screen` at once, as a rule',
        'minutes to drain an hour, one queue at its limit',
      ],
      [500, 10_000, 100_000, devices].map((each) => [
        count(each),
        count((each / WINDOW_S) * HOUR_S),
        count((each / WINDOW_S) * screen),
        drain(each, screen),
      ]),
    ),
  ].join('\n\n')
}

function drain(devices: number, screen: number): string {
  const arriving = devices / WINDOW_S
  const spare = QUOTAS.mappingBatches.value / screen - arriving
  return spare <= 0 ? 'never' : count((arriving * HOUR_S) / spare / 60)
}

/** Two digits that count. */
function count(value: number): string {
  return Number(value.toPrecision(value >= 1000 ? 3 : 2)).toLocaleString('en-US')
}

if (import.meta.main) {
  const { devices } = new Command('npm run scale --')
    .description('Which limits so many live devices meet, and what to change at each.')
    .option('--devices <n>', 'live devices', above, 1_000_000)
    .parse()
    .opts<{ devices: number }>()
  console.log(scaleReport(devices))
}

function above(text: string): number {
  const value = Number(text)
  if (value > 0) return value
  throw new InvalidArgumentError('a number above 0')
}
