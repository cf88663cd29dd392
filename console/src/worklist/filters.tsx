/**
 * Filters of the worklist.
 * @module
 */
import { useEffect, useRef } from 'preact/hooks'
import { CONDITION_IDS, type ConditionId } from '../../../shared/domain/conditions.ts'
import { t, word } from '../i18n/index.ts'
import { Icon } from '../ui/parts.tsx'
import { type Filter, filter, isFiltered, reload } from './list.ts'
import { UploadButton } from './upload.tsx'

const TYPING_MS = 250

export function Filters() {
  const search = useRef<HTMLInputElement>(null)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement
      if (event.key !== '/' || isTyping) return
      event.preventDefault()
      search.current?.focus()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
  const set = (change: Filter) => {
    const next = { ...filter.value, ...change }
    void reload(Object.fromEntries(Object.entries(next).filter(([, value]) => value !== undefined && value !== '')))
  }
  const { status, flagged, from, to } = filter.value
  return (
    <search class="filters">
      <label class="search">
        <Icon name="search" />
        <span class="sr">{t('worklist.search')}</span>
        <input
          ref={search}
          type="search"
          placeholder={t('worklist.search')}
          aria-keyshortcuts="/"
          value={filter.value.search ?? ''}
          onInput={({ currentTarget }) => {
            clearTimeout(timer.current)
            const { value } = currentTarget
            timer.current = setTimeout(() => set({ search: value }), TYPING_MS)
          }}
        />
        <kbd>/</kbd>
      </label>
      <label>
        <span class="sr">{t('worklist.flags')}</span>
        <select
          value={flagged ?? ''}
          onChange={({ currentTarget }) => set({ flagged: (currentTarget.value || undefined) as ConditionId })}
        >
          <option value="">{t('worklist.anyFlag')}</option>
          {CONDITION_IDS.map((id) => (
            <option key={id} value={id}>
              {word('condition', id)}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span class="sr">{t('worklist.verdict')}</span>
        <select
          value={status ?? ''}
          onChange={({ currentTarget }) =>
            set({ status: (currentTarget.value || undefined) as NonNullable<Filter['status']> })
          }
        >
          <option value="">{t('worklist.anyVerdict')}</option>
          <option value="screened">{t('status.screened')}</option>
          <option value="refused">{t('status.refused')}</option>
        </select>
      </label>
      <label class="date">
        <span>{t('worklist.from')}</span>
        <input type="date" value={from ?? ''} onChange={({ currentTarget }) => set({ from: currentTarget.value })} />
      </label>
      <label class="date">
        <span>{t('worklist.to')}</span>
        <input type="date" value={to ?? ''} onChange={({ currentTarget }) => set({ to: currentTarget.value })} />
      </label>
      {isFiltered.value && (
        <button type="button" class="quiet" onClick={() => void reload({})}>
          {t('worklist.clear')}
        </button>
      )}
      <UploadButton />
    </search>
  )
}
