/**
 * A section of the operator runbook. It is built into the page, so that it can be read if everything else is down.
 * @module
 */
import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'
import { t } from '../i18n/index.ts'
import { href } from '../router.ts'
import { Icon, State } from '../ui/parts.tsx'
import { type Block, blocksOf, sectionOf, spansOf } from './markdown.ts'

export function Runbook({ section }: { readonly section: string }) {
  const text = useSignal<string | undefined>(undefined)
  useEffect(() => {
    void import('../../../docs/operator-runbook.md?raw').then(({ default: whole }) => {
      text.value = whole
    })
  }, [])
  const found = text.value === undefined ? undefined : sectionOf(text.value, section)
  return (
    <main class="operations" id="main">
      <div class="operations-head">
        <a class="back" href={href({ view: 'operations' })} aria-label={t('nav.operations')}>
          <Icon name="back" />
        </a>
        <h1>{section}</h1>
        <span class="hint">{t('ops.runbook')}</span>
      </div>
      {text.value !== undefined && found === undefined ? (
        <State icon="empty" title={t('ops.noSection')} />
      ) : (
        <article class="card runbook" lang="en">
          {blocksOf(found ?? '').map((block, i) => (
            <Part key={`${i} ${block.kind}`} {...block} />
          ))}
        </article>
      )}
    </main>
  )
}

function Part(block: Block) {
  if (block.kind === 'code') {
    return (
      <pre>
        <code>{block.text}</code>
      </pre>
    )
  }
  if (block.kind === 'list') {
    const items = block.items.map((item) => (
      <li key={item}>
        <Line text={item} />
      </li>
    ))
    return block.isOrdered ? <ol>{items}</ol> : <ul>{items}</ul>
  }
  if (block.kind === 'table') {
    const [head = [], ...rows] = block.rows
    return (
      <table>
        <thead>
          <tr>
            {head.map((cell) => (
              <th key={cell}>
                <Line text={cell} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.join('|')}>
              {row.map((cell, i) => (
                <td key={`${i} ${cell}`}>
                  <Line text={cell} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    )
  }
  return (
    <p>
      <Line text={block.text} />
    </p>
  )
}

/** Links within the runbook work; links to files of the repository are plain text. */
function Line({ text }: { readonly text: string }): ComponentChildren {
  return spansOf(text).map((span, i) => {
    const key = `${i} ${span.text}`
    if (span.kind === 'code') return <code key={key}>{span.text}</code>
    if (span.kind === 'strong') return <b key={key}>{span.text}</b>
    if (span.kind === 'link' && span.to.startsWith('#')) {
      return (
        <a key={key} href={href({ view: 'operations', section: span.to.slice(1) })}>
          {span.text}
        </a>
      )
    }
    return <span key={key}>{span.text}</span>
  })
}
