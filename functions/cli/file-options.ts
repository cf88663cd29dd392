/**
 * What a command may be told of an ECG file that the file does not say.
 * @module
 */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { LEADS } from '../../shared/domain/leads.ts'
import { FORMAT_NAMES, type ReadOptions } from '../../streams/formats/index.ts'
import { VOLTAGE_UNITS, type VoltageUnit } from '../../streams/formats/units.ts'

export interface FileOptions {
  readonly format?: string
  readonly rate?: number
  readonly unit?: VoltageUnit
  readonly lead?: string
  readonly sex?: 'male' | 'female'
  readonly age?: number
}

/** Adds the options to a command. */
export function takeFileOptions(command: Command): Command {
  return command
    .option('--format <name>', `of the file: ${FORMAT_NAMES.join(', ')} (default: by content)`)
    .option('--rate <hz>', 'sampling rate; outranks what the file says', positive)
    .addOption(new Option('--unit <unit>', 'of the samples; outranks what the file says').choices(VOLTAGE_UNITS))
    .addOption(new Option('--lead <name>', 'which lead the only ECG channel of a file is').choices(LEADS))
    .addOption(new Option('--sex <sex>', 'of the person; outranks what the file says').choices(['male', 'female']))
    .option('--age <years>', 'of the person; outranks what the file says', positive)
}

export const readOptions = ({ format, rate, unit, lead, sex, age }: FileOptions): ReadOptions => ({
  format,
  rateHz: rate,
  unit,
  lead,
  sex,
  ageYears: age,
})

export function positive(text: string): number {
  const value = Number(text)
  if (value > 0) return value
  throw new InvalidArgumentError('a number above 0')
}

/** For a number between two others, both included. */
export const wholeNumber = (least: number, most: number) => (text: string) => {
  const value = Number(text)
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value
  throw new InvalidArgumentError(`a whole number from ${least} to ${most}`)
}
