/**
 * The page as it is printed: the sheet alone, in millimetres. And the same as a file.
 * @module
 */
import { useEffect, useRef } from 'preact/hooks'
import { type Sheet, sheetSize, sheetSvg } from './svg.ts'

/** A4 across, less the margins that most printers need. */
const PRINTABLE_MM = { width: 287, height: 200 }

/** Hidden on the screen; filled when it is about to be printed, since that takes a while. */
export function PrintSheet({ sheet }: { readonly sheet: Sheet }) {
  const place = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const fill = () => {
      const parsed = new DOMParser().parseFromString(sheetSvg(sheet), 'image/svg+xml')
      place.current?.replaceChildren(document.importNode(parsed.documentElement, true))
      place.current?.toggleAttribute('data-too-wide', !fits(sheet))
    }
    addEventListener('beforeprint', fill)
    return () => removeEventListener('beforeprint', fill)
  }, [sheet])
  return <div ref={place} class="print-sheet" aria-hidden="true" />
}

/** Whether a sheet fits on A4 at its true scale; at 50 mm/s it wants two. */
export function fits(sheet: Sheet): boolean {
  const { widthMm, heightMm } = sheetSize(sheet)
  return widthMm <= PRINTABLE_MM.width && heightMm <= PRINTABLE_MM.height
}

export function downloadSvg(sheet: Sheet, id: string): void {
  const blob = new Blob([sheetSvg(sheet)], { type: 'image/svg+xml' })
  save(blob, `ecg-${id}.svg`)
}

/** Hands a file to the reader. */
export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
