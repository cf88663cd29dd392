/**
 * Options for facts about an ECG file that the file does not state.
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
    .option('--format <name>', `file format: ${FORMAT_NAMES.join(', ')} (default: detected)`)
    .option('--rate <hz>', 'sampling rate; overrides the file', positive)
    .addOption(new Option('--unit <unit>', 'unit of the samples; overrides the file').choices(VOLTAGE_UNITS))
    .addOption(new Option('--lead <name>', 'lead name of a file with one ECG channel').choices(LEADS))
    .addOption(new Option('--sex <sex>', 'sex of the person; overrides the file').choices(['male', 'female']))
    .option('--age <years>', 'age of the person; overrides the file', positive)
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

/** Parser for a whole number within two limits, both included. */
export const wholeNumber = (least: number, most: number) => (text: string) => {
  const value = Number(text)
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value
  throw new InvalidArgumentError(`a whole number from ${least} to ${most}`)
}
