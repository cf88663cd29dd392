/**
 * Small components that all views share.
 * @module
 */
import type { ComponentChildren } from 'preact'
import type { ApiError } from '../../../streams/client/problem.ts'
import { type Key, LANGUAGES, language, t } from '../i18n/index.ts'
import { moment, number, utc } from './format.ts'

const PATHS = {
  refused: 'M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM3.6 12.4l8.8-8.8',
  warning: 'M8 2 1.5 13.5h13zM8 6v4M8 11.6v.4',
  search: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.5 14 14',
  upload: 'M8 11V2.5M4.5 6 8 2.5 11.5 6M2.5 11v2.5h11V11',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  empty: 'M1.5 8h3l1.5-3 2.5 6L10 8h4.5',
  loading: 'M8 1.5A6.5 6.5 0 1 1 1.5 8',
  failed: 'M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM8 4.5V9M8 11v.3',
  deleted: 'M3 4.5h10M6 4.5V3h4v1.5M4.5 4.5l.5 9h6l.5-9',
  back: 'M9.5 3.5 5 8l4.5 4.5',
  print: 'M4.5 6V2h7v4M4.5 11.5h-2V6h11v5.5h-2M4.5 9.5h7V14h-7z',
  download: 'M8 2.5V10M4.5 7 8 10.5 11.5 7M2.5 13.5h11',
  caliper: 'M3 2v12M13 2v12M3 8h10M5 6 3 8l2 2M11 6l2 2-2 2',
  ruler: 'M1.5 5.5h13v5h-13zM4.5 5.5v2M7.5 5.5v3M10.5 5.5v2',
  compare: 'M2 5c2 0 2 3 4 3s2-5 4-5 2 3 4 3M2 11c2 0 2 2 4 2s2-4 4-4 2 3 4 3',
  theme: 'M8 1.5a6.5 6.5 0 1 0 0 13zM8 1.5a6.5 6.5 0 0 1 0 13',
  full: 'M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10',
  lock: 'M3.5 7.5h9v6h-9zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5',
  play: 'M4.5 3v10l8-5z',
  pause: 'M5 3v10M11 3v10',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class={`icon icon-${name}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  )
}

interface StateProps {
  readonly icon: IconName
  readonly title: string
  readonly text?: string
  readonly children?: ComponentChildren
}

/** Empty, loading or failed state of a view: the reason, and what to do. */
export function State({ icon, title, text, children }: StateProps) {
  return (
    <div class={`state state-${icon}`} role="status">
      <Icon name={icon} />
      <h2>{title}</h2>
      {text !== undefined && <p>{text}</p>}
      {children}
    </div>
  )
}

export function Failure({ error, onRetry }: { readonly error: ApiError; readonly onRetry?: () => void }) {
  return (
    <State icon="failed" title={t('state.failed')} text={wordsOf(error)}>
      {onRetry !== undefined && (
        <button type="button" onClick={onRetry}>
          {t('action.retry')}
        </button>
      )}
    </State>
  )
}

/** Text of an error and what to do. An error without its own text shows its code. */
export function wordsOf({ code, field, problem }: ApiError): string {
  const { words } = LANGUAGES[language.value]
  const key = `error.${code}`
  if (key in words) return t(key as Key, { field: field ?? '', limit: limitOf(problem) })
  const detail = typeof problem.detail === 'string' ? problem.detail : undefined
  return detail ?? t('error.other', { code, field: field ?? '–' })
}

/** A limit that a problem states, with its unit. */
function limitOf({ maxBytes, maxSeconds, maxFiles }: ApiError['problem']): string {
  if (typeof maxBytes === 'number') return `${number(maxBytes / 2 ** 20)} MiB`
  if (typeof maxSeconds === 'number') return `${number(maxSeconds / 60)} min`
  if (typeof maxFiles === 'number') return t('error.files', { count: maxFiles })
  return '–'
}

/** A time in the user's time zone, with UTC in the tooltip. */
export function Time({ iso }: { readonly iso: string }) {
  return (
    <time dateTime={iso} title={utc(iso)}>
      {moment(iso)}
    </time>
  )
}

interface ChoiceProps<T extends string | number> {
  readonly label: string
  /** Value, label and, for a short label, the full name of each option. */
  readonly options: readonly (readonly [T, string, string?])[]
  readonly value: T
  readonly isDisabled?: boolean
  readonly onChange: (value: T) => void
}

/** Numeric options with one unit, which is shown on the last button only. */
export const withUnit = <T extends number>(values: readonly T[], unit: string) =>
  values.map(
    (value, i) => [value, i < values.length - 1 ? `${value}` : `${value} ${unit}`, `${value} ${unit}`] as const,
  )

/** Exclusive choice between a few options, as a row of buttons. */
export function Choice<T extends string | number>({ label, options, value, isDisabled, onChange }: ChoiceProps<T>) {
  return (
    <fieldset class="choice">
      <legend class="sr">{label}</legend>
      {options.map(([option, text, name]) => (
        <button
          key={option}
          type="button"
          disabled={isDisabled}
          aria-pressed={option === value}
          aria-label={name}
          title={label}
          onClick={() => onChange(option)}
        >
          {text}
        </button>
      ))}
    </fieldset>
  )
}
