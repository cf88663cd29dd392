/**
 * `npm run scale -- --devices 1000000`: the limits of AWS and of this design that a number of live devices reaches, in order.
 * @module
 */
import { Command, InvalidArgumentError } from 'commander'
import { type Measured, readMeasured } from './measured.ts'
import { QUOTAS, QUOTAS_DATE, type Quota } from './quotas.ts'
import { table } from './report.ts'
import { serviceSeconds, writeUnits } from './service.ts'

/** Length of a window. */
const WINDOW_S = 10
/** Visibility timeout of a failed message (`cdk/constructs/queue.ts`). */
const VISIBILITY_S = 60
const HOUR_S = 3600
/** Share at which an adapter's core counts as full. */
const FULL = 0.6

interface Limit {
  readonly what: string
  readonly quota: Quota
  /** Use of the quota by one device, in its unit. */
  readonly aDevice: number
  /** One sentence per line. */
  readonly change: readonly string[]
}

/** Limits of the path; `aDevice` comes from measured times and sizes. */
function limits(measured: Measured): readonly Limit[] {
  const { preprocess, screen } = serviceSeconds(measured)
  const windows = 1 / WINDOW_S
  const frames = measured.adapter.framesPerSecond
  const { devices, cores, framesPerSecondAConnection } = measured.adapter
  return [
    {
      what: 'IoT Core, one adapter connection',
      quota: QUOTAS.iotConnectionMessages,
      aDevice: frames,
      change: ['Set `connections`: that many shared subscriptions feed one journal (built).'],
    },
    {
      what: 'one core of an adapter',
      quota: { value: FULL, unit: 'of a core, which counts as full' },
      aDevice: cores / devices,
      change: [
        'Add `shards`, each with its own tenants (built).',
        'A tenant with more devices than one shard can serve needs shards by hash of the device (not built).',
      ],
    },
    {
      what: 'journal commits, one adapter connection',
      quota: { value: framesPerSecondAConnection, unit: 'frames per second' },
      aDevice: frames,
      change: ['Raise `connections`, or use a broker with a larger window of unacknowledged messages.'],
    },
    {
      what: 'SQS in flight during an outage (messages are hidden for 60 s)',
      quota: QUOTAS.sqsInFlight,
      aDevice: windows * VISIBILITY_S,
      change: [
        'None needed: SQS delivers no more, and the rest waits in the queue for up to four days.',
        'It only looks like a stop.',
      ],
    },
    {
      what: 'index `byArrival`, whose key is the tenant',
      quota: QUOTAS.dynamoPartitionWrites,
      aDevice: windows,
      change: [
        'Use the key `tenant#n`, with n by hash of the ECG; a list queries all n and merges (not built).',
        'Until then: more tenants. A throttled index throttles the table.',
      ],
    },
    {
      what: 'IoT Core, frames in',
      quota: QUOTAS.iotPublishes,
      aDevice: frames,
      change: [
        'Ask AWS for more.',
        'From here on, devices should send windows (twenty times fewer messages), or a broker of your own should take the frames.',
      ],
    },
    {
      what: 'DynamoDB, a new table',
      quota: QUOTAS.dynamoNewTableWrites,
      aDevice: windows * writeUnits(measured),
      change: [
        'Set the table’s warm throughput before the devices arrive. Without it, throughput doubles in half an hour.',
      ],
    },
    {
      what: 'S3, one prefix before its first split',
      quota: QUOTAS.s3Puts,
      aDevice: windows,
      change: [
        'None needed if the load rises steadily.',
        'Keys end in a random id, so S3 splits the prefix, and retries bridge the time.',
        'Beyond 100,000 devices, store one object per session and hour instead of one per window. This also reduces the cost.',
      ],
    },
    {
      what: 'DynamoDB, one table',
      quota: QUOTAS.dynamoTableWrites,
      aDevice: windows * writeUnits(measured),
      change: [
        'Ask AWS for more, or shrink a result below 2 KB (a zstd dictionary), which takes three units instead of four.',
      ],
    },
    {
      what: 'Lambda concurrency, one window per batch',
      quota: QUOTAS.lambdaConcurrency,
      aDevice: windows * (preprocess + screen),
      change: ['Ask AWS for more (tens of thousands are usual). `deployment.devices` sets the share of each function.'],
    },
    {
      what: 'IoT Core, windows in',
      quota: QUOTAS.iotPublishes,
      aDevice: windows,
      change: [
        'Ask AWS for more.',
        'Beyond a few hundred thousand devices, use several accounts, each with a whole stack (a cell) for some of the tenants.',
      ],
    },
    {
      what: 'queue `intake`, concurrent batches',
      quota: QUOTAS.mappingBatches,
      aDevice: windows * preprocess,
      change: ['Add a second queue with the same function, by tenant: the rule and the adapter know the tenant.'],
    },
    {
      what: 'queue `screening`, concurrent batches',
      quota: QUOTAS.mappingBatches,
      aDevice: windows * screen,
      change: [
        'The same, or combine `preprocess` and `screen` in one function.',
        'That saves a queue and 1.2 USD per million windows, and makes them fail together.',
      ],
    },
    {
      what: 'SNS, results',
      quota: QUOTAS.snsPublishes,
      aDevice: windows,
      change: ['Let `screen` send to the two queues itself, which also saves one request.'],
    },
    {
      what: 'IoT Core, connections',
      quota: QUOTAS.iotConnections,
      aDevice: 1,
      change: ['Ask AWS for more, or use one cell per half million devices.'],
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
    `**${count(devices)} devices**, one window each per ${WINDOW_S} s. Service times: ${measured.date} (bundle ${measured.bundle}). Quotas: us-east-1, ${QUOTAS_DATE}.`,
    table(
      ['resource', 'need'],
      [
        ['windows per second', count(windows)],
        ['concurrency of `preprocess`, one window per batch', count(windows * preprocess)],
        ['concurrency of `screen`', count(windows * screen)],
        [
          'minutes until Lambda polls that fast (300 more batches per minute)',
          count((windows * preprocess) / QUOTAS.mappingRamp.value),
        ],
        ['messages in flight, batches of ten', count(10 * windows * (preprocess + screen))],
        ['write units per second', count(windows * writeUnits(measured))],
        [
          'PUTs per second; number of prefixes after S3’s splits',
          `${count(windows)}; ${count(windows / QUOTAS.s3Puts.value)}`,
        ],
        ['results published per second', count(windows)],
        ['with frames: messages per second to the broker', count(devices * measured.adapter.framesPerSecond)],
        ['with frames: cores of adapters', count((devices * measured.adapter.cores) / measured.adapter.devices / FULL)],
        [
          'after a loss of all connections: minutes until IoT Core has accepted all devices',
          count(devices / QUOTAS.iotConnects.value / 60),
        ],
      ],
    ),
    table(
      ['devices', 'limit', 'quota'],
      ladder.map(({ at, what, quota }) => [
        `${at > devices ? '' : '**'}${count(at)}${at > devices ? '' : '**'}`,
        what,
        `${count(quota.value)} ${quota.unit}${quota.isHard ? ', fixed' : ''}`,
      ]),
    ),
    `Changes at each limit:\n\n${ladder.map(({ what, change }) => `- **${what}**: ${change.join('\n  ')}`).join('\n')}`,
    table(
      [
        'devices',
        'windows per hour',
        'usual concurrency of `screen`',
        'minutes to drain one hour, with one queue at its limit',
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

/** Rounds to two significant digits, or three from 1,000 on. */
function count(value: number): string {
  return Number(value.toPrecision(value >= 1000 ? 3 : 2)).toLocaleString('en-US')
}

if (import.meta.main) {
  const { devices } = new Command('npm run scale --')
    .description('The limits that a number of live devices reaches, and what to change at each.')
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
