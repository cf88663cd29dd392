/**
 * The subset of Markdown in the runbook: paragraphs, lists, tables, code and inline emphasis. Parses to data, never to HTML.
 * @module
 */

export type Block =
  | { readonly kind: 'paragraph' | 'code'; readonly text: string }
  | { readonly kind: 'list'; readonly isOrdered: boolean; readonly items: readonly string[] }
  | { readonly kind: 'table'; readonly rows: readonly (readonly string[])[] }

export type Span =
  | { readonly kind: 'text' | 'code' | 'strong'; readonly text: string }
  | { readonly kind: 'link'; readonly text: string; readonly to: string }

/** The text below a heading, up to the next heading of the same or a higher level; `undefined` if there is no such heading. */
export function sectionOf(text: string, name: string): string | undefined {
  const lines = text.split('\n')
  const anchor = (line: string) =>
    line
      .replace(/^#+ /, '')
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-')
  const level = (line: string) => /^(#+) /.exec(line)?.[1]?.length ?? 0
  const begin = lines.findIndex((line) => level(line) > 1 && anchor(line) === name)
  if (begin < 0) return undefined
  const end = lines.findIndex((line, i) => i > begin && level(line) > 0 && level(line) <= level(lines[begin]!))
  return lines.slice(begin + 1, end < 0 ? undefined : end).join('\n')
}

const ITEM = /^(?:[-*]|\d+\.) /

export function blocksOf(text: string): readonly Block[] {
  const blocks: Block[] = []
  let lines: string[] = []
  let isCode = false
  const end = () => {
    if (isCode) blocks.push({ kind: 'code', text: lines.join('\n') })
    else if (lines.length > 0) blocks.push(...proseOf(lines.join('\n').trim()))
    lines = []
  }
  for (const line of text.split('\n')) {
    const isFence = line.startsWith('```')
    if (isFence || (!isCode && line.trim() === '')) end()
    else lines.push(line)
    if (isFence) isCode = !isCode
  }
  end()
  return blocks
}

function proseOf(part: string): readonly Block[] {
  if (part === '') return []
  const lines = part.split('\n')
  const first = lines.findIndex((line) => ITEM.test(line) || line.startsWith('|'))
  if (first > 0) return [...proseOf(lines.slice(0, first).join('\n')), ...proseOf(lines.slice(first).join('\n'))]
  if (first < 0) return [{ kind: 'paragraph', text: lines.join(' ') }]
  if (lines[0]!.startsWith('|')) {
    const cells = (line: string) =>
      line
        .replace(/^\||\|$/g, '')
        .split('|')
        .map((cell) => cell.trim())
    return [{ kind: 'table', rows: lines.filter((line) => !/^[|\s:-]+$/.test(line)).map(cells) }]
  }
  const items: string[] = []
  for (const line of lines) {
    if (ITEM.test(line)) items.push(line.replace(ITEM, ''))
    else items.push(`${items.pop() ?? ''} ${line.trim()}`)
  }
  return [{ kind: 'list', isOrdered: /^\d/.test(part), items }]
}

export function spansOf(line: string): readonly Span[] {
  return line.split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*]+\*|\[[^[\]]+\]\([^()]+\))/).flatMap((part): Span[] => {
    if (part === '') return []
    if (part.startsWith('`')) return [{ kind: 'code', text: part.slice(1, -1) }]
    const stars = /^\*{1,2}(?=[^*]+\*)/.exec(part)?.[0].length ?? 0
    if (stars > 0) return [{ kind: 'strong', text: part.slice(stars, -stars) }]
    const [, text, to] = /^\[([^\]]+)\]\(([^)]+)\)$/.exec(part) ?? []
    return text === undefined
      ? [{ kind: 'text', text: part }]
      : [{ kind: 'link', text: text.replaceAll('`', ''), to: to! }]
  })
}
