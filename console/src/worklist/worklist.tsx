/**
 * The worklist: results in order of arrival, newest first.
 * @module
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { Summary } from '../api/events.ts'
import { language, t } from '../i18n/index.ts'
import { go } from '../router.ts'
import { utc } from '../ui/format.ts'
import { Failure, State } from '../ui/parts.tsx'
import { useVirtualRows } from '../ui/use-virtual.ts'
import { Filters } from './filters.tsx'
import { chosen, failure, hasMore, isAtTop, isFiltered, letIn, loading, more, reload, rows, waiting } from './list.ts'
import { RowPool } from './rows.tsx'

const ROW_PX = 44
/** Rows before the end at which the next page is loaded. */
const AHEAD = 40

/** A scroll has ended when it did not move for so long. */
const STILL_MS = 120

/** Scroll position for the return from an ECG. */
let place = 0

export function Worklist() {
  const scroller = useRef<HTMLDivElement>(null)
  const [isWide, setWide] = useState(innerWidth >= 720)
  const rowPx = isWide ? ROW_PX : 68
  const count = rows.value.length
  const space = useRef<HTMLDivElement>(null)
  const pool = useRef<RowPool | undefined>(undefined)
  // Read here, so that the rows are drawn again when another one is chosen or the language changes.
  const [selected, words] = [chosen.value, language.value]
  const { totalPx, scrollTo } = useVirtualRows(count, rowPx, scroller, (items) => {
    if (space.current === null) return
    pool.current ??= new RowPool(space.current)
    pool.current.draw(items, rows.peek(), selected, words)
    const last = items.at(-1)?.index ?? 0
    if (hasMore.peek() && failure.peek() === undefined && last > count - AHEAD) void more()
  })
  const shield = useRef<HTMLDivElement>(null)
  const still = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  /** While rows pass, the shield keeps the pointer from them: otherwise each frame searches for the row below it. */
  const passUnder = () => {
    clearTimeout(still.current)
    if (shield.current?.hidden) shield.current.hidden = false
    still.current = setTimeout(() => {
      if (shield.current !== null) shield.current.hidden = true
    }, STILL_MS)
  }
  useEffect(() => {
    scroller.current?.scrollTo({ top: place })
    const measure = () => setWide(innerWidth >= 720)
    addEventListener('resize', measure)
    return () => removeEventListener('resize', measure)
  }, [])

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
        onClick={({ target, clientY, currentTarget }) => {
          // Below the shield, the place says which row it is.
          const y = clientY - currentTarget.getBoundingClientRect().top + currentTarget.scrollTop
          const index = indexOf(target) ?? Math.floor(y / rowPx)
          if (index >= count) return
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
          passUnder()
          isAtTop.value = scrollTop < rowPx / 2
        }}
      >
        <div class="rows-space" ref={space} role="presentation" style={{ height: `${totalPx}px` }}>
          <div class="shield" ref={shield} aria-hidden="true" hidden />
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

const open = (row: Summary | undefined) => row !== undefined && go({ view: 'ecg', id: row.ecgId })

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
