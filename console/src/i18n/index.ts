/**
 * Texts of the page, one file per language. The language changes without a reload.
 * @module
 */
import { signal } from '@preact/signals'
import { en, type Key, type Words } from './en.ts'
import { zh } from './zh-CN.ts'

export type { Key }

export const LANGUAGES = { en: { name: 'English', words: en }, 'zh-CN': { name: '简体中文', words: zh } } as const
export type Language = keyof typeof LANGUAGES

const KEY = 'cardiacnets.language'

function first(): Language {
  const kept = localStorage.getItem(KEY)
  if (kept === 'en' || kept === 'zh-CN') return kept
  return navigator.language.startsWith('zh') ? 'zh-CN' : 'en'
}

export const language = signal<Language>(first())

export function speak(chosen: Language): void {
  localStorage.setItem(KEY, chosen)
  language.value = chosen
}

/**
 * Returns a text with its placeholders filled.
 * @example
 * t('worklist.behind', { ago: '12 s ago' })
 */
export function t(key: Key, blanks: Readonly<Record<string, string | number>> = {}): string {
  const words: Words = LANGUAGES[language.value].words
  return words[key].replace(/\{(\w+)\}/g, (_, name: string) => String(blanks[name] ?? ''))
}

/** Text of a code. An unknown code is shown as it is. */
export const word = (group: string, code: string): string => wordOr(code.replaceAll('-', ' '), group, code)

/** Text of a code, with a given name as the fallback. */
export function wordOr(name: string, group: string, code: string): string {
  const words: Readonly<Record<string, string>> = LANGUAGES[language.value].words
  return words[`${group}.${code}`] ?? name
}
