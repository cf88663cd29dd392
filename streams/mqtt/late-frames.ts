/**
 * Frames that arrive after their window was closed, and the windows that they complete. Each such window is closed again, as a new version
 * of the same ECG.
 * @module
 */
import type { Frame } from '../../shared/domain/frame.ts'
import { windowSamples } from '../../shared/domain/window.ts'
import { CodedError } from '../../shared/errors.ts'
import type { Journal, VersionedWindow } from './journal.ts'
import { extentOf, type FrameExtent, isSame, type WindowAssembler } from './window-assembler.ts'

/** How long a reopened window waits for its remaining samples: a backlog arrives quickly, and each version is screened again. */
export const LATE_PATIENCE_MS = 15_000

export type LateWindow = VersionedWindow

interface LateSession {
  readonly id: number
  readonly assembler: WindowAssembler
  readonly expiredThrough: number
}

/**
 * Takes a frame of the session's past, and reopens the windows that it belongs to and in which samples are missing.
 * @param isPast true when the whole frame is in the past and must be added to the journal; otherwise it is there already, or the caller
 * adds it
 * @param pastEnd samples before this were in closed windows when the frame arrived; it may have closed more
 * @returns first samples of the windows that it reopened; `undefined` when nothing is missing there, or the frame was taken before
 * @throws CodedError `sequence-invalid` for a frame that contradicts earlier ones, `correction-expired` for one that is too late
 */
export function takeLate(
  session: LateSession,
  frame: Frame,
  isPast: boolean,
  pastEnd: number,
  journal: Journal,
): readonly number[] | undefined {
  const { id, assembler, expiredThrough } = session
  const { past, format } = assembler
  const extent = extentOf(frame)
  const end = Math.min(extent.endSample, pastEnd)
  const holes = end > extent.firstSample ? past.within(extent.firstSample, end) : []
  if (holes.length === 0) {
    if (isPast && extent.endSample <= expiredThrough)
      throw new CodedError('correction-expired', { field: 'firstSample' })
    return undefined
  }
  if (isPast) {
    const held = journal.frameAt(id, extent.firstSample, format)
    if (held !== undefined) {
      if (held.sequence !== extent.sequence) throw contradicts('firstSample')
      if (!isSame(held, extent)) throw contradicts('sequence')
      return undefined
    }
    checkPlace(extent, journal.neighbours(id, extent.firstSample))
    journal.addFrame(id, frame, extent)
    assembler.noteLate(extent.sequence)
  }
  return past.reopen(extent.firstSample, end)
}

/** In place of a checksum, which is not negative. */
const CONTRADICTED = -1

interface SessionWithFirst extends Pick<LateSession, 'id' | 'assembler'> {
  firstChecksum: number | undefined
}

/** Records the session's first frame, which `checkRestart` compares. */
export function noteFirst(session: SessionWithFirst, frame: Frame, journal: Journal): void {
  if (frame.firstSample !== 0 || session.firstChecksum !== undefined) return
  session.firstChecksum = extentOf(frame).checksum
  journal.saveFirst(session.id, session.firstChecksum)
}

/**
 * For a frame of closed windows. A device that was restarted, uses the name of an old session again and counts from 0 sends other samples
 * under numbers that are taken. The samples of complete windows are no longer here, so only the first frame shows it. From then on no frame
 * of a complete window is taken for a repetition.
 * @throws CodedError `sequence-invalid`
 */
export function checkRestart(session: SessionWithFirst, frame: Frame, journal: Journal): void {
  const { firstSample, endSample, checksum } = extentOf(frame)
  if (session.assembler.past.within(firstSample, endSample).length > 0) return
  if (firstSample === 0 && session.firstChecksum !== undefined && session.firstChecksum !== checksum) {
    session.firstChecksum = CONTRADICTED
    journal.saveFirst(session.id, CONTRADICTED)
  }
  if (session.firstChecksum === CONTRADICTED) throw contradicts('sequence')
}

/** Frames have the same order by number and by sample, and never overlap. */
function checkPlace(extent: FrameExtent, { before, behind }: ReturnType<Journal['neighbours']>): void {
  if (before !== undefined) {
    if (before.endSample > extent.firstSample) throw contradicts('firstSample')
    if (before.sequence >= extent.sequence || before.isLast) throw contradicts('sequence')
  }
  if (behind !== undefined) {
    if (behind.firstSample < extent.endSample) throw contradicts('firstSample')
    if (behind.sequence <= extent.sequence) throw contradicts('sequence')
    if (extent.isLast) throw contradicts('isLast')
  }
}

/**
 * Closes reopened windows.
 * @param windows close only those of these windows (by first sample) that are now complete; absent: all, complete or not
 */
export function closeLate(
  { id, assembler }: LateSession,
  journal: Journal,
  windows?: readonly number[],
): readonly LateWindow[] {
  const { past, format } = assembler
  const whole = windowSamples(format.rateHz)
  const closed: LateWindow[] = []
  for (const { firstSample, version } of past.reopened) {
    if (windows !== undefined && !windows.includes(firstSample)) continue
    const stop = firstSample + whole
    const { covered, reached, isEnded } = journal.coverage(id, firstSample, stop)
    // After the session's last frame nothing is missing.
    const samples = (isEnded ? reached : stop) - firstSample
    const isWhole = covered === samples
    if (!isWhole && windows !== undefined) continue
    // An incomplete window ends with its last sample, unless later samples have arrived.
    const goesOn = assembler.closedThrough > stop || assembler.isOpen
    closed.push({
      firstSample,
      samples: isWhole || goesOn ? samples : reached - firstSample,
      version: version + 1,
      isShort: !isWhole,
    })
    past.close(firstSample, isWhole)
  }
  return closed
}

const contradicts = (field: string) => new CodedError('sequence-invalid', { field })
