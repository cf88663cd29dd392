/**
 * Paper preferences of the user, kept between visits.
 * @module
 */
import { effect, signal } from '@preact/signals'
import type { Gain, LayoutName, Speed } from './layout.ts'
import { GAINS, LAYOUTS, SPEEDS } from './layout.ts'

interface Preferences {
  readonly layout: LayoutName
  readonly isCabrera: boolean
  readonly speed: Speed
  readonly gain: Gain
}

const KEY = 'cardiacnets.paper'
const USUAL: Preferences = { layout: '3x4+1', isCabrera: false, speed: 25, gain: 10 }

function kept(): Preferences {
  try {
    const { layout, isCabrera, speed, gain } = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Preferences>
    return {
      layout: LAYOUTS.find((each) => each === layout) ?? USUAL.layout,
      isCabrera: isCabrera === true,
      speed: SPEEDS.find((each) => each === speed) ?? USUAL.speed,
      gain: GAINS.find((each) => each === gain) ?? USUAL.gain,
    }
  } catch {
    return USUAL
  }
}

export const preferences = signal(kept())
effect(() => localStorage.setItem(KEY, JSON.stringify(preferences.value)))

export const prefer = (change: Partial<Preferences>) => {
  preferences.value = { ...preferences.peek(), ...change }
}
