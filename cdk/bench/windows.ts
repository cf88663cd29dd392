/**
 * Windows for benchmarks: real ones at 500 Hz when `../shared/data` (or `CARDIACNETS_DATA`) exists, else the virtual one.
 * @module
 */
import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Recording, sampleCount } from '../../shared/domain/recording.ts'
import type { Waveform } from '../../shared/domain/waveform.ts'
import { cutWindow } from '../../shared/domain/window.ts'
import { readRecording } from '../../streams/formats/index.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const DATA = process.env.CARDIACNETS_DATA ?? join(ROOT, '../shared/data')
const FOLDERS = ['ptbxl500', 'cinc2021']

export const DEMO_RECORD = join(ROOT, 'functions/cli/demo/virtual-ecg.hea')

export interface BenchWindows {
  readonly source: 'real' | 'virtual'
  readonly windows: readonly Waveform[]
}

/** The first ten seconds of each 500 Hz record. */
export async function benchWindows(): Promise<BenchWindows> {
  const files = FOLDERS.map((folder) => join(DATA, folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.endsWith('.hea'))
        .map((name) => join(folder, name)),
    )
  const recordings = await Promise.all((files.length > 0 ? files : [DEMO_RECORD]).map((file) => readRecording(file)))
  const isWhole = (recording: Recording) => recording.rateHz === 500 && sampleCount(recording) >= 5000
  return {
    source: files.length > 0 ? 'real' : 'virtual',
    windows: recordings.filter(isWhole).map((recording) => cutWindow(recording, 0)),
  }
}
