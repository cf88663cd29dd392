import { describe, expect, test } from 'vitest'
import { findLead } from '../../../shared/domain/leads.ts'
import { findVoltageUnit } from '../../../streams/formats/units.ts'

describe('findLead', () => {
  test.each([
    ['ECG Lead II', 'II'],
    ['EKG II', 'II'],
    ['Lead II (Einthoven)', 'II'],
    ['II [mV]', 'II'],
    ['II\0\0\0\0rest', 'II'],
    ['LeadII', 'II'],
    ['ecg_lead_v6', 'V6'],
    ['MDC_ECG_LEAD_AVR', 'aVR'],
    ['MDC_ECG_ELEC_POTL_V1', 'V1'],
    ['Lead site V1', 'V1'],
    ['aVR lead', 'aVR'],
    ['AV R', 'aVR'],
    ['V 1', 'V1'],
    ['Ableitung III', 'III'],
    ['Dérivation aVL', 'aVL'],
    ['DII', 'II'],
    ['\u2161', 'II'],
    ['ECG LL-RA', 'II'],
    ['ECG - I', 'I'],
  ])('recognizes %j', (name, lead) => {
    expect(findLead(name)).toBe(lead)
  })

  test.each([
    'ECG 1',
    'Lead',
    'ECG',
    'V7',
    '-aVR',
    'ECG -aVR',
    'I-II',
    'I II',
    'vx',
    'Resp',
    'C3',
    '',
    'x'.repeat(1e6),
  ])('recognizes no lead in %j', (name) => {
    expect(findLead(name)).toBeUndefined()
  })
})

describe('findVoltageUnit', () => {
  test.each([
    ['mV', 'mV'],
    ['MV', 'mV'],
    ['[mV]', 'mV'],
    ['millivolts', 'mV'],
    ['µV', 'uV'],
    ['μV', 'uV'],
    ['uV\0', 'uV'],
    ['Â\u00b5V', 'uV'],
    ['æV', 'uV'],
    ['Microvolt', 'uV'],
    ['V', 'V'],
    ['nV', 'nV'],
  ])('recognizes %j', (name, unit) => {
    expect(findVoltageUnit(name)).toBe(unit)
  })

  test.each(['', 'mmHg', 'mA', '%', 'counts', 'mV/mm', 'x'.repeat(1e6)])('recognizes no unit in %j', (name) => {
    expect(findVoltageUnit(name)).toBeUndefined()
  })
})
