/** Links between pages: each file and each heading that a Markdown page links to exists. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const ELSEWHERE = /(?:^|\/)(?:node_modules|\.venv|\.local|dist|cdk\.out|api-docs)(?:\/|$)/

const PAGES = globSync('**/*.md', { cwd: ROOT, exclude: (path) => ELSEWHERE.test(path) })

const page = (path: string) => readFileSync(join(ROOT, path), 'utf8')

/** Without code blocks, where `[…](…)` and `#` mean other things. */
const prose = (text: string) => text.replace(/^(```+|~~~+)[\s\S]*?^\1/gm, '')

/** A heading as GitHub names it; a repeated one gets a number. */
function anchorsOf(text: string): ReadonlySet<string> {
  const seen = new Map<string, number>()
  const anchors = [...prose(text).matchAll(/^#{1,6} +(.+)$/gm)].map(([, heading]) => {
    const words = heading!.replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const slug = words.replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-')
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    return count === 0 ? slug : `${slug}-${count}`
  })
  return new Set(anchors)
}

/** Links of a page that lead nowhere. */
function brokenLinks(path: string, text: string): readonly string[] {
  const links = [...prose(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!)
  return links
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [file = '', anchor] = link.split('#')
      const target = file === '' ? path : join(dirname(path), file)
      if (!existsSync(join(ROOT, target))) return true
      return anchor !== undefined && target.endsWith('.md') && !anchorsOf(page(target)).has(anchor)
    })
}

describe('brokenLinks', () => {
  it.each(['nowhere.md', '#no-such-heading', 'docs/api.md#no-such-heading'])('finds %s', (link) => {
    expect(brokenLinks('README.md', `[a](README.md) [b](${link})`)).toEqual([link])
  })
})

describe('the pages', () => {
  it.each(PAGES)('%s links to files and headings that exist', (path) => {
    expect(brokenLinks(path, page(path))).toEqual([])
  })
})
