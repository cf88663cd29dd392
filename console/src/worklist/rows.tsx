/**
 * Rows of the worklist in the DOM. They are written directly, without the framework: a scroll changes ten of them in every frame, and a row
 * that leaves the view passes its elements to the next one. Only what differs is written.
 * @module
 */
import { render } from 'preact'
import { CONDITION_IDS } from '../../../shared/domain/conditions.ts'
import type { Summary } from '../api/events.ts'
import { type Language, t, word } from '../i18n/index.ts'
import { clock, day, number, percent } from '../ui/format.ts'
import { Icon } from '../ui/parts.tsx'

/** Position of a row, as the virtual list gives it. */
interface Place {
  readonly index: number
  /** From the top of the list, px. */
  readonly start: number
}

/** Width of the bar behind a probability. */
const SHARE_PX = 70

/** Only texts that may exceed their column are clipped, because each clip costs time in every frame of a scroll. */
const lengthOf = (text: string) => (text.length > 14 ? 'long' : '')

export class RowPool {
  readonly #space: HTMLElement
  readonly #rows: RowElements[] = []

  /** @param space element that is as high as the whole list */
  constructor(space: HTMLElement) {
    this.#space = space
  }

  /**
   * Shows these rows, and no others.
   * @param chosen index of the selected row
   */
  draw(places: readonly Place[], rows: readonly Summary[], chosen: number, language: Language): void {
    while (this.#rows.length < places.length) this.#rows.push(new RowElements())
    const unused = new Set(this.#rows.keys())
    for (const { index, start } of places) {
      const row = rows[index]
      if (row === undefined) continue
      // A row that stays in view keeps its elements.
      const slot = index % this.#rows.length
      unused.delete(slot)
      const { element } = this.#rows[slot]!
      if (!element.isConnected) this.#space.append(element)
      this.#rows[slot]!.show(row, index, start, index === chosen, language)
    }
    for (const slot of unused) this.#rows[slot]!.element.remove()
  }
}

/** Structure of a row; its texts follow. */
function Skeleton() {
  return (
    <div class="row" role="option" tabIndex={-1}>
      <span class="taken">
        <b class="when" /> <small class="day" />
      </span>
      <span class="device" />
      <span class="verdict">
        <Icon name="refused" />
        <span />
      </span>
      <span class="rate num" />
      <i class="share" aria-hidden="true" />
      <span class="highest num" />
    </div>
  )
}

class RowElements {
  readonly element: HTMLElement
  readonly #when: Text
  readonly #day: Text
  readonly #device: Text
  readonly #verdict: Text
  readonly #rate: Text
  readonly #share: HTMLElement
  readonly #highest: Text
  readonly #chips: HTMLElement[] = []
  #shown: readonly unknown[] = []

  constructor() {
    const holder = document.createElement('div')
    render(<Skeleton />, holder)
    this.element = holder.firstElementChild as HTMLElement // as rendered right above
    const text = (selector: string) => {
      const node = document.createTextNode('')
      this.element.querySelector(selector)!.append(node)
      return node
    }
    this.#when = text('.when')
    this.#day = text('.day')
    this.#device = text('.device')
    this.#verdict = text('.verdict span')
    this.#rate = text('.rate')
    this.#share = this.element.querySelector<HTMLElement>('.share')!
    this.#highest = text('.highest')
  }

  show(row: Summary, index: number, top: number, isChosen: boolean, language: Language): void {
    const shown = [row, index, top, isChosen, language]
    if (shown.every((value, i) => value === this.#shown[i])) return
    this.#shown = shown
    const { element } = this
    const { ecgId, startedAt, arrivedAt, status, device, flagged, heartRateBpm, reasons = [], top: highest } = row
    const verdict =
      status === 'screened'
        ? t('status.screened')
        : reasons.map((each) => word('reason', each)).join(', ') || t('status.refused')
    element.id = `row-${index}`
    element.dataset.ecg = ecgId
    element.ariaSelected = String(isChosen)
    element.style.top = `${top}px`
    classOf(element, `row ${isChosen ? 'chosen' : ''} ${status}`)
    write(this.#when, clock(startedAt))
    write(this.#day, day(startedAt))
    // Without a time of its own, an ECG is listed by that of its arrival.
    write(this.#device, device ?? t(startedAt === arrivedAt ? 'worklist.untimed' : 'worklist.upload'))
    classOf(this.#device.parentElement!, `device ${device === undefined ? 'none' : lengthOf(device)}`)
    write(this.#verdict, verdict)
    classOf(this.#verdict.parentElement!.parentElement!, `verdict ${lengthOf(verdict)}`)
    write(this.#rate, heartRateBpm == null ? '–' : `${number(heartRateBpm)} bpm`)
    write(
      this.#highest,
      highest === undefined ? '' : `${percent(highest.probability)} ${word('short', highest.condition)}`,
    )
    classOf(this.#share, highest === undefined ? 'share none' : 'share')
    this.#share.style.borderLeftWidth = `${Math.round(SHARE_PX * (highest?.probability ?? 0))}px`
    this.#flag(CONDITION_IDS.filter((id) => flagged.includes(id)))
  }

  #flag(conditions: readonly string[]): void {
    while (this.#chips.length < conditions.length) {
      const chip = document.createElement('span')
      chip.className = 'chip flagged'
      this.#chips.push(chip)
      this.element.append(chip)
    }
    for (const [i, chip] of this.#chips.entries()) {
      const condition = conditions[i]
      if (chip.hidden !== (condition === undefined)) chip.hidden = condition === undefined
      if (condition === undefined) continue
      const name = word('short', condition)
      if (chip.textContent === name) continue
      chip.textContent = name
      chip.title = word('condition', condition)
    }
  }
}

function write(node: Text, text: string): void {
  if (node.data !== text) node.data = text
}

function classOf(element: Element, name: string): void {
  if (element.className !== name) element.className = name
}
