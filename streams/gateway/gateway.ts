/**
 * The gateway of a ward: all doors, one journal, local screening, and forwarding when the cloud is available.
 * @module
 */
import { fileFault } from '../../shared/data-files.ts'
import { correcting, parseResult } from '../../shared/domain/result.ts'
import type { ResultWarning } from '../../shared/domain/warnings.ts'
import type { CodedError } from '../../shared/errors.ts'
import { describeError, type Log } from '../../shared/observe/logging.ts'
import type { Journal } from '../mqtt/journal.ts'
import type { BundleShelf } from './bundle-shelf.ts'
import { Bundles, shelfOf } from './bundles.ts'
import { TrustedClock } from './clock.ts'
import type { Cloud } from './cloud.ts'
import { type DoorSettings, doorAddress, type GatewayConfig } from './config.ts'
import { Counters, count } from './counters.ts'
import type { DeviceDoor } from './device-door.ts'
import { isEndingSoon, type OpenDoor, openDoor } from './door-server.ts'
import type { FolderDoor } from './folder-door.ts'
import { backUp, checkModel, openJournals } from './opening.ts'
import { devicePeer } from './peers.ts'
import { gatewayMetrics, gatewayStatus } from './report.ts'
import { Screening, type ScreeningSetup } from './screening.ts'
import { Senders } from './senders.ts'
import { type StatusServer, startStatusServer } from './status-server.ts'
import type { Store } from './store.ts'
import { type Added, type Door, shownResult } from './stored-ecg.ts'

export interface GatewayParts {
  readonly logger: Log
  readonly screening: ScreeningSetup
  /** Destination of forwarded ECGs; absent: none. */
  readonly cloud?: Cloud | undefined
}

export interface Gateway {
  readonly ports: Readonly<Partial<Record<'mqtt' | 'hl7' | 'dicom' | 'status', number>>>
  /** Resolves when the model is loaded. Until then ECGs are stored and wait. */
  readonly ready: Promise<void>
  /** Resolves with the reason when this process must restart from the disk. */
  readonly failed: Promise<unknown>
  stop(): Promise<void>
}

const UPKEEP_MS = 1000
const HOUR_MS = 3_600_000
const PRUNE_EVERY = 60

/** Largest DICOM instance. Ten minutes at 1 kHz take 15 MB. */
const MAX_INSTANCE_BYTES = 64 * 1024 * 1024

/**
 * Starts the gateway.
 * @throws CodedError `site-config-invalid`, `file-not-found`, `port-taken`, those of a model bundle (`bundle-missing`, …) and of data files
 * (`data-corrupt`, …)
 */
export async function startGateway(config: GatewayConfig, parts: GatewayParts): Promise<Gateway> {
  const shelf = shelfOf(config, parts.screening)
  await checkModel(shelf.active)
  const ward = new Ward(config, parts, shelf)
  try {
    await ward.open()
  } catch (error) {
    await ward.stop()
    throw error
  }
  return ward
}

class Ward implements Gateway {
  readonly #config: GatewayConfig
  readonly #parts: GatewayParts
  readonly #store: Store
  readonly #journal: Journal
  readonly #reopen: () => Journal
  readonly #clock: TrustedClock
  readonly #counters = new Counters()
  readonly #screening: Screening
  readonly #bundles: Bundles
  readonly #senders: Senders
  readonly #failed = Promise.withResolvers<unknown>()
  readonly #doors = new Map<'mqtt' | 'hl7' | 'dicom', OpenDoor>()
  #mqtt: DeviceDoor | undefined
  #folder: FolderDoor | undefined
  #status: StatusServer | undefined
  #upkeep: NodeJS.Timeout | undefined
  #isClockTrusted = true
  #ticks = 0
  #isStopped = false

  constructor(config: GatewayConfig, parts: GatewayParts, shelf: BundleShelf) {
    this.#config = config
    this.#parts = parts
    ;({ store: this.#store, journal: this.#journal, reopen: this.#reopen } = openJournals(config, parts))
    this.#clock = new TrustedClock(this.#store.newestMs())
    this.#isClockTrusted = this.#clock.isTrusted
    this.#screening = new Screening(shelf.active, {
      next: (after, limit) =>
        this.#store.toScreen(after, limit).flatMap((id) => {
          const ecg = this.#store.readEcg(id)
          return ecg === undefined ? [] : [{ id, envelope: ecg.envelope, packed: ecg.packed }]
        }),
      done: (reply) => {
        if ('json' in reply) this.#screened(reply.id, reply.json)
        else this.#unscreenable(reply.id, reply.code)
      },
    })
    this.#screening.failed.catch((error: unknown) => this.#failed.resolve(error))
    this.#senders = new Senders({
      config,
      cloud: parts.cloud,
      store: this.#store,
      counters: this.#counters,
      logger: parts.logger,
      now: () => this.#clock.now(),
    })
    this.#bundles = new Bundles({ shelf, screening: this.#screening, logger: parts.logger })
  }

  get ready(): Promise<void> {
    return this.#screening.ready
  }

  get failed(): Promise<unknown> {
    return this.#failed.promise
  }

  get ports() {
    const ports = Object.fromEntries([...this.#doors].map(([name, { port }]) => [name, port]))
    return this.#status === undefined ? ports : { ...ports, status: this.#status.port }
  }

  /** Loads the code of a door only when it is open: DICOM takes 17 MB, the file formats 8. */
  async open(): Promise<void> {
    await this.#bundles.list()
    const { mqtt, hl7, dicom, folder, status } = this.#config
    if (mqtt !== undefined) await this.#openMqtt(mqtt)
    if (hl7 !== undefined) await this.#openHl7(hl7)
    if (dicom !== undefined) await this.#openDicom(dicom)
    if (folder !== undefined) await this.#openFolder(folder.watch)
    await this.#senders.open()
    this.#status = await startStatusServer(status.port, {
      status: () => gatewayStatus(this.#facts()),
      metrics: () => gatewayMetrics(this.#facts()),
      lastResults: (limit) =>
        this.#store
          .lastEcgs(0, limit)
          .flatMap(({ result, about }) => (result === undefined ? [] : shownResult(result, about))),
      resultOf: (ecgId, version) => this.#store.resultOf(this.#config.tenant, ecgId, version),
      erase: (patient) => this.#erase(patient),
      retryDead: () => {
        const count = this.#store.retryDead()
        this.#senders.resultStored()
        return count
      },
      backup: (folder) => backUp(folder, { store: this.#store, frames: this.#mqtt ?? this.#journal }),
      bundles: this.#bundles,
    })
    this.#parts.logger.info('door open', { door: 'status', guard: 'loopback', port: this.#status.port })
    this.#upkeep = setInterval(() => this.#tick(), UPKEEP_MS)
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return
    this.#isStopped = true
    clearInterval(this.#upkeep)
    await this.#mqtt?.close()
    await Promise.all([...this.#doors.values()].map((door) => door.close()))
    await this.#senders.close()
    await this.#screening.stop()
    await this.#status?.close()
    // The devices' door closes its own.
    if (this.#mqtt === undefined) this.#journal.close()
    this.#store.close()
  }

  readonly #warnings = (): readonly ResultWarning[] =>
    this.#isClockTrusted ? [] : [{ code: 'clock-doubtful', field: 'gateway' }]

  readonly #onStored = (door: Door) => (added: readonly Added[]) => {
    count(this.#counters.received, door, added.length)
    if (added.length === 0) return
    this.#screening.wake()
    this.#senders.ecgStored()
  }

  async #openMqtt(settings: NonNullable<GatewayConfig['mqtt']>): Promise<void> {
    const { DeviceDoor } = await import('./device-door.ts')
    const door = await DeviceDoor.open({
      store: this.#store,
      journal: this.#journal,
      reopen: this.#reopen,
      logger: this.#parts.logger,
      clock: this.#clock,
      idleMs: this.#config.sessionIdleS * 1000,
      tenant: this.#config.tenant,
      results: settings.results,
      warnings: this.#warnings,
      onStored: this.#onStored('mqtt'),
      onRefused: (code) => this.#counters.refuse('mqtt', code),
    })
    this.#mqtt = door
    await this.#open('mqtt', settings, (socket) => door.serve(socket))
  }

  async #openHl7(hl7: NonNullable<GatewayConfig['hl7']>): Promise<void> {
    const [{ Hl7Door }, { MllpRoom, serveMllp }] = await Promise.all([
      import('./hl7-door.ts'),
      import('../hl7/mllp.ts'),
    ])
    const door = new Hl7Door({
      config: this.#config,
      hl7,
      store: this.#store,
      now: () => this.#clock.now(),
      warnings: this.#warnings,
      onStored: this.#onStored('hl7'),
      onAnswered: (verdict, error) => {
        count(this.#counters.hl7Answers, verdict)
        if (error !== undefined) this.#refused('hl7', error)
      },
    })
    const maxBytes = hl7.maxMessageMb * 1024 * 1024
    const room = new MllpRoom(2 * maxBytes)
    await this.#open('hl7', hl7, (socket) => serveMllp(socket, door.answer, door.answerBroken, { maxBytes, room }))
  }

  async #openDicom(dicom: NonNullable<GatewayConfig['dicom']>): Promise<void> {
    const { serveDicom } = await import('../dicom/scp.ts')
    const { storeInstance } = await import('./dicom-door.ts')
    const storing = {
      tenant: this.#config.tenant,
      store: this.#store,
      now: () => this.#clock.now(),
      warnings: this.#warnings,
      onStored: this.#onStored('dicom'),
      onPdf: () => this.#counters.pdfs++,
    }
    await this.#open('dicom', dicom, (socket) =>
      serveDicom(socket, {
        aeTitle: dicom.aeTitle,
        allow: dicom.allow,
        maxBytes: MAX_INSTANCE_BYTES,
        store: (instance) => storeInstance(storing, instance),
        isKept: (uid) => this.#store.hasInstance(uid),
        onAnswered: (_kind, error) => {
          if (error === 'not-allowed') this.#counters.refuse('dicom', error)
          else if (error !== undefined) this.#refused('dicom', error)
        },
      }),
    )
  }

  async #openFolder(watch: string): Promise<void> {
    const { FolderDoor } = await import('./folder-door.ts')
    this.#folder = new FolderDoor({
      watch,
      tenant: this.#config.tenant,
      store: this.#store,
      now: () => this.#clock.monotonic(),
      receivedAt: () => this.#clock.now(),
      warnings: this.#warnings,
      onStored: this.#onStored('folder'),
      onTaken: (error) => {
        if (error !== undefined) this.#refused('folder', error)
      },
    })
    await this.#folder.open().catch((error: unknown) => {
      throw fileFault(watch, error) ?? error
    })
  }

  async #open(
    name: 'mqtt' | 'hl7' | 'dicom',
    settings: DoorSettings,
    serve: Parameters<typeof openDoor>[2],
  ): Promise<void> {
    const door = await openDoor(doorAddress(settings, name), name, serve, () => this.#counters.refusedPeers++)
    this.#doors.set(name, door)
    if (isEndingSoon(door, this.#clock.now()))
      this.#parts.logger.error("a door's certificate ends soon", { door: name })
    this.#parts.logger.info('door open', { door: name, guard: door.guard, port: door.port })
  }

  #screened(id: number, json: string): void {
    const ecg = this.#store.readEcg(id)
    if (ecg === undefined) return
    // A correction states which flags were removed, unless the previous version is gone or was never screened.
    const before = (ecg.envelope.version ?? 1) > 1 ? this.#store.resultBefore(ecg.envelope) : undefined
    const corrected = before === undefined ? json : JSON.stringify(correcting(parseResult(json), before))
    this.#store.storeResult(id, corrected, this.#senders.peersOf(ecg))
    this.#counters.screened++
    const { origin, tenant } = ecg.envelope
    if (origin.kind === 'mqtt') this.#mqtt?.deliver(devicePeer({ tenant, device: origin.device }))
    this.#senders.resultStored()
  }

  #unscreenable(id: number, code: CodedError['code']): void {
    this.#store.giveUpScreening(id)
    this.#counters.unscreenable++
    this.#parts.logger.error('an ECG cannot be screened here', { code })
  }

  #refused(door: Door, error: CodedError): void {
    this.#counters.refuse(door, error.code)
    this.#parts.logger.warn('refused at a door', { door, ...describeError(error) })
  }

  #tick(): void {
    this.#ticks++
    // Results that could not be stored are computed again.
    this.#screening.wake()
    const isTrusted = this.#clock.isTrusted
    if (isTrusted !== this.#isClockTrusted) {
      if (isTrusted) this.#parts.logger.info('the clock can be trusted again')
      else this.#parts.logger.error('the clock cannot be trusted', { code: 'clock-invalid' })
    }
    this.#isClockTrusted = isTrusted
    try {
      if (this.#store.hasTrouble) this.#store.probe()
      this.#mqtt?.upkeep()
      if (this.#ticks % PRUNE_EVERY === 0) this.#prune()
    } catch (error) {
      this.#parts.logger.error('upkeep failed', describeError(error))
    }
    this.#folder
      ?.look()
      .then(() => this.#folder?.deliver())
      .catch((error: unknown) => this.#parts.logger.error('the folder cannot be read', describeError(error)))
    if (this.#ticks % 2 === 0) this.#senders.compare()
  }

  #prune(): void {
    // A clock that is wrong by a year must not make ECGs look a year old.
    if (!this.#isClockTrusted) return
    const before = this.#clock.now() - this.#config.keepHours * HOUR_MS
    this.#store.forgetOlderThan(before)
    this.#mqtt?.prune()
    this.#folder?.forgetOlderThan(before).catch(() => {})
  }

  async #erase(patient: string): Promise<number> {
    const beds = this.#config.hl7?.beds ?? {}
    const named = (await this.#folder?.filesNaming(patient)) ?? new Set()
    const { ecgs, files } = this.#store.erase(patient, (bed) => beds[bed] ?? [], named)
    await this.#folder?.erase([...named, ...files])
    this.#parts.logger.info('erased a patient', { erased: ecgs })
    return ecgs
  }

  #facts() {
    return {
      config: this.#config,
      counters: this.#counters,
      counts: this.#store.counts(),
      usedBytes: this.#store.usedBytes + (this.#mqtt?.usedBytes ?? this.#journal.usedBytes),
      hasRoom: this.#store.hasRoom,
      isWritable: !this.#store.hasTrouble && this.#mqtt?.isUp !== false,
      isClockTrusted: this.#isClockTrusted,
      nowMs: this.#clock.now(),
      doors: this.#doors,
      frames: this.#mqtt?.frames,
      sessions: this.#mqtt?.sessions ?? 0,
      bundle: this.#bundles.active,
      forwarding: this.#senders.forwarding,
    }
  }
}
