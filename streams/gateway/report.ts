/**
 * The gateway's state for people (`/status`) and for Prometheus (`/metrics`).
 * @module
 */
import type { FrameCounts } from '../mqtt/ingest.ts'
import type { ListedBundle } from './bundle-shelf.ts'
import type { GatewayConfig } from './config.ts'
import type { Counters } from './counters.ts'
import type { OpenDoor } from './door-server.ts'
import type { GatewayStatus, StatusSource } from './status-server.ts'
import type { StoreCounts } from './stored-ecg.ts'

export interface GatewayFacts {
  readonly config: GatewayConfig
  readonly counters: Counters
  readonly counts: StoreCounts
  readonly usedBytes: number
  readonly hasRoom: boolean
  readonly isWritable: boolean
  readonly isClockTrusted: boolean
  readonly nowMs: number
  readonly doors: ReadonlyMap<string, OpenDoor>
  readonly frames: FrameCounts | undefined
  readonly sessions: number
  readonly bundle: ListedBundle | undefined
  readonly forwarding: { readonly isAway: boolean; readonly forwarded: number } | undefined
}

export function gatewayStatus(facts: GatewayFacts): GatewayStatus {
  const { config, counters, counts, usedBytes, hasRoom, isClockTrusted, doors, forwarding, sessions, bundle } = facts
  return {
    isHealthy: hasRoom && facts.isWritable,
    tenant: config.tenant,
    doors: {
      ...Object.fromEntries(
        [...doors].map(([name, { port, guard, connections, certificateEndsMs: ends }]) => [
          name,
          {
            port,
            guard,
            connections,
            ...(ends === undefined ? {} : { certificateEnds: new Date(ends).toISOString() }),
          },
        ]),
      ),
      ...(config.folder && { folder: { guard: 'file permissions' } }),
    },
    clock: isClockTrusted ? 'trusted' : 'cannot be trusted: set it, or reach a time server',
    journal: {
      usedBytes,
      limitBytes: config.limitMb * 1024 * 1024,
      state: journalState(facts),
    },
    ecgs: {
      kept: counts.ecgs,
      toScreen: counts.toScreen,
      screened: counters.screened,
      unscreenable: counters.unscreenable,
    },
    cloud:
      forwarding === undefined
        ? 'none is configured'
        : {
            state: forwarding.isAway ? 'away' : 'reachable',
            waiting: counts.toForward,
            oldestWaitingS: ageS(facts),
            refused: counters.forwardRefused,
          },
    deliveries: deliveryCounts(counts),
    devices: { sessions },
    bundle,
    differences: Object.fromEntries(counters.differences),
  }
}

function journalState({ hasRoom, isWritable }: GatewayFacts): string {
  if (!isWritable) return 'cannot be written: new ECGs are refused'
  return hasRoom ? 'has room' : 'full: new ECGs are refused'
}

/** A bundle may have any name, so it is quoted as in JSON, which Prometheus accepts. */
const bundleLabels = ({ name, version, sha256 }: ListedBundle) =>
  `{name=${JSON.stringify(name)},version=${JSON.stringify(version)},sha256="${sha256}"}`

const ageS = ({ counts, nowMs }: GatewayFacts): number =>
  counts.oldestToForwardMs === undefined ? 0 : Math.max(0, Math.round((nowMs - counts.oldestToForwardMs) / 1000))

/** Devices are counted together, so that none is named here. */
function deliveryCounts({
  deliveries,
}: StoreCounts): Readonly<Record<string, Readonly<Record<'waiting' | 'dead', number>>>> {
  const byPeer: Record<string, Record<'waiting' | 'dead', number>> = {}
  for (const { peer, state, count } of deliveries) {
    const name = peer.startsWith('device:') ? 'devices' : peer
    byPeer[name] ??= { waiting: 0, dead: 0 }
    byPeer[name][state] += count
  }
  return byPeer
}

type Metrics = ReturnType<StatusSource['metrics']>

export function gatewayMetrics(facts: GatewayFacts): Metrics {
  const { counters, counts, config, frames, forwarding } = facts
  const labelled = (label: string, values: ReadonlyMap<string, number>) =>
    [...values].map(([key, value]) => [`{${label}="${key}"}`, value] as const)
  const one = (value: number) => [['', value]] as const
  const deliveries = Object.entries(deliveryCounts(counts)).flatMap(([peer, states]) =>
    Object.entries(states).map(([state, count]) => [`{peer="${peer}",state="${state}"}`, count] as const),
  )
  return [
    ['ecgs_received_total', 'ECGs stored, by door.', 'counter', labelled('door', counters.received)],
    ['refused_total', 'What was refused, by door and reason.', 'counter', labelled('reason', counters.refused)],
    ['hl7_answers_total', 'HL7 messages answered, by verdict.', 'counter', labelled('verdict', counters.hl7Answers)],
    [
      'frames_total',
      'Frames of devices, by what became of them.',
      'counter',
      labelled('kind', new Map(Object.entries(frames ?? {}))),
    ],
    ['sessions', 'Live sessions of devices.', 'gauge', one(facts.sessions)],
    ['screened_total', 'ECGs screened here.', 'counter', one(counters.screened)],
    ['unscreenable_total', 'ECGs that could not be screened here.', 'counter', one(counters.unscreenable)],
    ['to_screen', 'ECGs that wait to be screened.', 'gauge', one(counts.toScreen)],
    [
      'bundle_info',
      'The model bundle that screens.',
      'gauge',
      facts.bundle === undefined ? [] : [[bundleLabels(facts.bundle), 1] as const],
    ],
    ['pdfs_total', 'PDFs that came without samples.', 'counter', one(counters.pdfs)],
    ['cloud_away', '1 while the cloud cannot be reached.', 'gauge', one(forwarding?.isAway === true ? 1 : 0)],
    ['to_forward', 'ECGs that the cloud does not have.', 'gauge', one(counts.toForward)],
    ['oldest_to_forward_seconds', 'Age of the oldest of them.', 'gauge', one(ageS(facts))],
    ['forward_refused_total', 'ECGs that the cloud refused for good.', 'counter', one(counters.forwardRefused)],
    ['deliveries', 'Results that wait for a peer, or were refused for good.', 'gauge', deliveries],
    [
      'delivery_attempts_total',
      'Results sent to EHRs, by outcome.',
      'counter',
      labelled('outcome', counters.delivered),
    ],
    [
      'differences_total',
      'Results of gateway and cloud compared.',
      'counter',
      labelled('difference', counters.differences),
    ],
    [
      'certificate_seconds',
      "Until a door's own certificate ends; negative when it has ended.",
      'gauge',
      [...facts.doors].flatMap(([name, { certificateEndsMs: ends }]) =>
        ends === undefined ? [] : [[`{door="${name}"}`, Math.round((ends - facts.nowMs) / 1000)] as const],
      ),
    ],
    ['refused_peers_total', 'Connections of peers that may not connect.', 'counter', one(counters.refusedPeers)],
    ['journal_bytes', 'Bytes of the journal in use.', 'gauge', one(facts.usedBytes)],
    ['journal_limit_bytes', 'Beyond it new ECGs are refused.', 'gauge', one(config.limitMb * 1024 * 1024)],
    ['journal_writable', '0 while the disk takes no writes.', 'gauge', one(facts.isWritable ? 1 : 0)],
    ['clock_trusted', '1 while the time can be believed.', 'gauge', one(facts.isClockTrusted ? 1 : 0)],
  ]
}
