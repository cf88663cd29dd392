import { describe, expect, it } from 'vitest'
import { en } from '../../console/src/i18n/en.ts'
import { zh } from '../../console/src/i18n/zh-CN.ts'
import { CONDITION_IDS, INDICES } from '../../shared/domain/conditions.ts'
import { QUALITY_REASONS } from '../../shared/domain/quality.ts'
import { EVIDENCES } from '../../shared/domain/result.ts'
import { WARNING_CODES } from '../../shared/domain/warnings.ts'

/** Names that are the same in every language: formats, formulas, leads, checksums. */
const SAME =
  /DICOM|aECG|SCP|WFDB|EDF|CSV|QRS|QTc?|Bazett|Fridericia|sha256|API|SYNTHETIC|AHA|SVG|PDF|aV[RLF]|III|docs\/formats\.md|\.hea|\.dat/g

const words = { en: en as Readonly<Record<string, string>>, zh: zh as Readonly<Record<string, string>> }
const blanks = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([blank]) => blank).sort()

describe('the console’s translations', () => {
  it('have a Chinese string for each English one, with the same placeholders', () => {
    for (const [key, text] of Object.entries(words.en)) {
      expect(words.zh[key], key).toBeTruthy()
      expect(blanks(words.zh[key] ?? ''), key).toEqual(blanks(text))
    }
  })

  it('contain no English in Chinese strings', () => {
    const english = Object.entries(words.zh).filter(([, text]) =>
      /[A-Za-z]{3,}/.test(text.replace(/\{\w+\}/g, '').replace(SAME, '')),
    )

    expect(english).toEqual([])
  })

  it.each(['en', 'zh'] as const)('cover every condition, reason, warning and evidence (%s)', (language) => {
    const wanted = [
      ...CONDITION_IDS.flatMap((id) => [`condition.${id}`, `short.${id}`]),
      ...QUALITY_REASONS.flatMap((reason) => [`reason.${reason}`, `advice.${reason}`]),
      ...WARNING_CODES.map((code) => `warning.${code}`),
      ...EVIDENCES.flatMap((evidence) => [`evidence.${evidence}`, `evidenceHint.${evidence}`]),
    ]

    expect(wanted.filter((key) => words[language][key] === undefined)).toEqual([])
  })

  it('have a distinct Chinese name for each index', () => {
    const names = INDICES.map(({ id }) => words.zh[`index.${id}`])

    expect(names.filter((name) => name === undefined)).toEqual([])
    expect(new Set(names).size).toBe(INDICES.length)
  })
})
