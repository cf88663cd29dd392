/**
 * Options for the model and its site calibration, shared by every command that screens files.
 * @module
 */
import { resolve } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { CONDITION_IDS, type ConditionId } from '../../shared/domain/conditions.ts'
import { activeBundle, activeSite } from '../../shared/inference/active-bundle.ts'
import { type Bundle, readBundle } from '../../shared/inference/bundle.ts'
import { type Prevalences, readSite, type Site, withPrevalences } from '../../shared/inference/site-calibration.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'

export interface ModelOptions {
  readonly model: string
  /** Absent: the active bundle's own. `false`: none. */
  readonly site?: string | false
  readonly prevalence?: Prevalences
}

/** Adds `--model`, `--site`, `--no-site` and `--prevalence`. */
export function takeModelOptions(command: Command): Command {
  return command
    .option('--model <directory>', 'model bundle', activeBundle())
    .option('--site <file>', 'site calibration (default: the one given to `models use`)')
    .option('--no-site', 'ignore site calibrations')
    .option('--prevalence <list>', 'prevalence among the people screened, such as cad=0.05,hf=0.02', parsePrevalences)
}

/**
 * Reads the bundle and the site calibration that the options select.
 * @throws CodedError those of `readBundle` and `readSite`
 */
export async function readModel({
  model,
  site,
  prevalence,
}: ModelOptions): Promise<{ bundle: Bundle; site: Site | undefined }> {
  const bundle = await readBundle(model, CARDIACNETS_V1.name)
  const isActive = resolve(model) === resolve(activeBundle())
  const file = site ?? (isActive && activeSite())
  const stated = file ? await readSite(file, bundle) : undefined
  return { bundle, site: prevalence === undefined ? stated : withPrevalences(bundle, prevalence, stated) }
}

/** `cad=0.05,hf=0.02` */
export function parsePrevalences(text: string): Prevalences {
  const prevalences: Partial<Record<ConditionId, number>> = {}
  for (const part of text.split(',')) {
    const [name, value] = part.split('=').map((side) => side.trim())
    const id = CONDITION_IDS.find((known) => known === name)
    const share = Number(value)
    if (id === undefined || id in prevalences || value === '' || !(share > 0 && share < 1)) {
      throw new InvalidArgumentError(`each of ${CONDITION_IDS.join(', ')} at most once, a share above 0 and below 1`)
    }
    prevalences[id] = share
  }
  return prevalences
}
