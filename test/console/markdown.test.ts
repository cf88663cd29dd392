import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Block, blocksOf, sectionOf, spansOf } from '../../console/src/operations/markdown.ts'

const RUNBOOK = readFileSync(new URL('../../docs/operator-runbook.md', import.meta.url), 'utf8')

describe('the runbook’s Markdown', () => {
  it('becomes paragraphs, lists, tables and code', () => {
    const text =
      'One\nline.\n\n```sh\na\n\nb\n```\n\n1. first\n   goes on\n2. second\n\n| x | y |\n| --- | --- |\n| 1 | 2 |\n'

    expect(blocksOf(text)).toEqual<Block[]>([
      { kind: 'paragraph', text: 'One line.' },
      { kind: 'code', text: 'a\n\nb' },
      { kind: 'list', isOrdered: true, items: ['first goes on', 'second'] },
      {
        kind: 'table',
        rows: [
          ['x', 'y'],
          ['1', '2'],
        ],
      },
    ])
  })

  it('becomes strong text, code and links', () => {
    expect(spansOf('a **b** *c* `d` [e](f.md#g) * h')).toEqual([
      { kind: 'text', text: 'a ' },
      { kind: 'strong', text: 'b' },
      { kind: 'text', text: ' ' },
      { kind: 'strong', text: 'c' },
      { kind: 'text', text: ' ' },
      { kind: 'code', text: 'd' },
      { kind: 'text', text: ' ' },
      { kind: 'link', text: 'e', to: 'f.md#g' },
      { kind: 'text', text: ' * h' },
    ])
  })

  it('leaves no markup characters in the displayed runbook', () => {
    const headings = [...RUNBOOK.matchAll(/^#{2,4} ([a-z-]+)$/gm)].map(([, name]) => name!)
    const texts = headings.flatMap((name) => blocksOf(sectionOf(RUNBOOK, name)!).flatMap(textsOf))

    expect(headings.length).toBeGreaterThan(10)
    expect(texts.filter((text) => /\*\*|```|\]\(/.test(text))).toEqual([])
  })
})

function textsOf(block: Block): readonly string[] {
  if (block.kind === 'code') return []
  const lines = block.kind === 'list' ? block.items : block.kind === 'table' ? block.rows.flat() : [block.text]
  return lines.flatMap((line) => spansOf(line).filter(({ kind }) => kind !== 'code')).map(({ text }) => text)
}
