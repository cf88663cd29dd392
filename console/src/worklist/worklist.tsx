/**
 * The worklist: results in order of arrival, newest first.
 * @module
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import { CONDITION_IDS } from '../../../shared/domain/conditions.ts'
import type { Summary } from '../api/events.ts'
import { t, word } from '../i18n/index.ts'
import { go } from '../router.ts'
import { clock, day, number, percent, utc } from '../ui/format.ts'
import { Failure, Icon, State } from '../ui/parts.tsx'
import { useVirtualRows } from '../ui/use-virtual.ts'
import { Filters } from './filters.tsx'
import { chosen, failure, hasMore, isAtTop, isFiltered, letIn, loading, more, reload, rows, waiting } from './list.ts'

const ROW_PX = 44
/** Rows before the end at which the next page is loaded. */
const AHEAD = 40

/** Scroll position for the return from an ECG. */
let place = 0

export function Worklist() {
  const scroller = useRef<HTMLDivElement>(null)
  const [isWide, setWide] = useState(innerWidth >= 720)
  const rowPx = isWide ? ROW_PX : 68
  const count = rows.value.length
  const { items, totalPx, scrollTo } = useVirtualRows(count, rowPx, scroller)
  useEffect(() => {
    scroller.current?.scrollTo({ top: place })
    const measure = () => setWide(innerWidth >= 720)
    addEventListener('resize', measure)
    return () => removeEventListener('resize', measure)
  }, [])
  // A row that leaves the view passes its elements to the next one, because creating elements takes longer.
  const pool = 2 ** Math.ceil(Math.log2(Math.max(1, items.length)))
  const last = items.at(-1)?.index ?? 0
  useEffect(() => {
    if (hasMore.value && failure.value === undefined && last > count - AHEAD) void more()
  }, [last, count])

  const move = (to: number) => {
    chosen.value = Math.max(0, Math.min(count - 1, to))
    scrollTo(chosen.value)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1, PageDown: 12, PageUp: -12 }
    const step = steps[event.key]
    if (step !== undefined) move(chosen.value + step)
    else if (event.key === 'Home') move(0)
    else if (event.key === 'End') move(count - 1)
    else if (event.key === 'Enter') open(rows.value[chosen.value])
    else return
    event.preventDefault()
  }

  return (
    <main class="worklist" id="main">
      <Filters />
      {waiting.value.length > 0 && (
        <button
          type="button"
          class="fresh"
          onClick={() => {
            letIn()
            scroller.current?.scrollTo({ top: 0 })
          }}
        >
          {t('worklist.waiting', { count: waiting.value.length })}
        </button>
      )}
      <Head />
      <div
        class="rows"
        ref={scroller}
        role="listbox"
        aria-label={t('nav.worklist')}
        aria-activedescendant={count > 0 ? `row-${chosen.value}` : undefined}
        tabIndex={0}
        onKeyDown={onKeyDown}
        // One listener for all rows, so that a row that is reused during a scroll has no listener or tooltip to renew.
        onClick={({ target }) => {
          const index = indexOf(target)
          if (index === undefined) return
          chosen.value = index
          open(rows.value[index])
        }}
        onPointerOver={({ target }) => {
          const row = rows.value[indexOf(target) ?? -1]
          if (row !== undefined && target instanceof HTMLElement && target.matches('.when, .day')) {
            target.title = utc(row.startedAt)
          }
        }}
        onScroll={(event) => {
          const { scrollTop } = event.currentTarget
          place = scrollTop
          isAtTop.value = scrollTop < rowPx / 2
        }}
      >
        <div class="rows-space" role="presentation" style={{ height: `${totalPx}px` }}>
          {items.map(({ index, start }) => {
            const row = rows.value[index]
            return (
              row !== undefined && (
                <Row key={index % pool} row={row} index={index} top={start} isChosen={index === chosen.value} />
              )
            )
          })}
        </div>
      </div>
      <Below count={count} />
    </main>
  )
}

/** Index of the row that contains an element. */
function indexOf(target: EventTarget | null): number | undefined {
  const row = target instanceof Element ? target.closest('.row') : null
  return row === null ? undefined : Number(row.id.replace('row-', ''))
}

/** Separate from the rows, so that scrolling does not render it again. */
function Head() {
  return (
    <div class="table-head" aria-hidden="true">
      <span class="taken">{t('worklist.time')}</span>
      <span class="device">{t('worklist.device')}</span>
      <span class="verdict">{t('worklist.verdict')}</span>
      <span class="rate">{t('worklist.rate')}</span>
      <span class="highest">{t('worklist.highest')}</span>
      <span>{t('worklist.flags')}</span>
    </div>
  )
}

/** Only texts that may exceed their column are clipped, because each clip costs time in every frame of a scroll. */
const lengthOf = (text: string) => (text.length > 14 ? 'long' : '')

/** Width of the bar behind a probability. */
const SHARE_PX = 70

const open = (row: Summary | undefined) => row !== undefined && go({ view: 'ecg', id: row.ecgId })

interface RowProps {
  readonly row: Summary
  readonly index: number
  readonly top: number
  readonly isChosen: boolean
}

function Row({ row, index, top, isChosen }: RowProps) {
  const { ecgId, startedAt, status, device, flagged, heartRateBpm, reasons = [], top: highest } = row
  const verdict =
    status === 'screened'
      ? t('status.screened')
      : reasons.map((each) => word('reason', each)).join(', ') || t('status.refused')
  return (
    <div
      class={`row ${isChosen ? 'chosen' : ''} ${status}`}
      id={`row-${index}`}
      role="option"
      aria-selected={isChosen}
      tabIndex={-1}
      data-ecg={ecgId}
      style={{ top: `${top}px` }}
    >
      <b class="when">{clock(startedAt)}</b>
      <small class="day">{day(startedAt)}</small>
      <span class={`device ${device === undefined ? 'none' : lengthOf(device)}`}>{device ?? t('worklist.upload')}</span>
      <span class={`verdict ${lengthOf(verdict)}`}>
        {status === 'refused' && <Icon name="refused" />}
        {verdict}
      </span>
      <span class="rate num">{heartRateBpm == null ? '–' : `${number(heartRateBpm)} bpm`}</span>
      <i
        class="share"
        aria-hidden="true"
        hidden={highest === undefined}
        style={{ borderLeftWidth: `${SHARE_PX * (highest?.probability ?? 0)}px` }}
      />
      <span class="highest num">
        {highest !== undefined && `${percent(highest.probability)} ${word('short', highest.condition)}`}
      </span>
      {flagged.length > 0 &&
        CONDITION_IDS.filter((id) => flagged.includes(id)).map((id) => (
          <span key={id} class="chip flagged" title={word('condition', id)}>
            {word('short', id)}
          </span>
        ))}
    </div>
  )
}

function Below({ count }: { readonly count: number }) {
  if (failure.value !== undefined) {
    return <Failure error={failure.value} onRetry={() => void (count === 0 ? reload() : more())} />
  }
  if (loading.value) return <State icon="loading" title={t('state.loading')} />
  if (count > 0) return null
  return isFiltered.value ? (
    <State icon="empty" title={t('worklist.noneMatch')} text={t('worklist.noneMatchHint')}>
      <button type="button" onClick={() => void reload({})}>
        {t('worklist.clear')}
      </button>
    </State>
  ) : (
    <State icon="empty" title={t('worklist.none')} text={t('worklist.noneHint')} />
  )
}
