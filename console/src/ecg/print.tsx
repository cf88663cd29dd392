/**
 * Print view of the page: the sheet only, in millimetres. Also saves the sheet as a file.
 * @module
 */
import { useEffect, useRef } from 'preact/hooks'
import { t } from '../i18n/index.ts'
import { partsOf, type Sheet, sheetSvg } from './svg.ts'

/** A4 landscape without the margins that most printers need. */
const PRINTABLE_MM = { widthMm: 287, heightMm: 200 }

/** Hidden on the screen. It is filled only before printing, because that takes a while. */
export function PrintSheet({ sheet: drawn }: { readonly sheet: Sheet }) {
  const place = useRef<HTMLDivElement>(null)
  const latest = useRef(drawn)
  latest.current = drawn
  useEffect(() => {
    const fill = () => {
      const { current: sheet } = latest
      const parts = partsOf(sheet, PRINTABLE_MM)
      const pages = parts.map((part, i) => {
        const page = parts.length === 1 ? [] : [t('print.page', { page: i + 1, pages: parts.length })]
        const [first = '', ...rest] = sheet.heading
        const svg = sheetSvg({ ...sheet, heading: [[first, ...page].join(' · '), ...rest] }, part)
        const parsed = new DOMParser().parseFromString(svg, 'image/svg+xml')
        return document.importNode(parsed.documentElement, true)
      })
      place.current?.replaceChildren(...pages)
    }
    addEventListener('beforeprint', fill)
    return () => removeEventListener('beforeprint', fill)
  }, [])
  return <div ref={place} class="print-sheet" aria-hidden="true" />
}

export function downloadSvg(sheet: Sheet, id: string): void {
  const blob = new Blob([sheetSvg(sheet)], { type: 'image/svg+xml' })
  save(blob, `ecg-${id}.svg`)
}

/** Downloads a file. */
export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
