/**
 * Runs the parts of a benchmark. A part that fails does not affect the others.
 * @module
 */
import { sentenceOf } from '../../shared/error-sentences.ts'
import { CodedError } from '../../shared/errors.ts'
import { serviceFault } from '../../shared/unreachable.ts'

/** A part that failed, and why. */
export interface FailedPart {
  readonly part: string
  readonly code: string
  readonly message: string
}

export class Parts {
  readonly failed: FailedPart[] = []
  readonly #say: (line: string) => void

  constructor(say: (line: string) => void) {
    this.#say = say
  }

  /**
   * Runs a part.
   * @returns its figures; `undefined` when it failed, which is recorded and reported
   */
  async run<T>(part: string, work: () => T | Promise<T>): Promise<T | undefined> {
    this.#say(`${part}…`)
    try {
      return await work()
    } catch (thrown) {
      const error = serviceFault(thrown)
      const failed: FailedPart =
        error instanceof CodedError
          ? { part, code: error.code, message: sentenceOf(error) }
          : { part, code: 'internal', message: error instanceof Error ? error.message : String(error) }
      this.failed.push(failed)
      this.#say(`${part} failed: ${failed.message} [${failed.code}]`)
      return undefined
    }
  }

  /** Runs a part that needs the figures of others. Without them it fails too. */
  async from<Needed extends Readonly<Record<string, unknown>>, T>(
    part: string,
    needed: Needed,
    work: (all: { readonly [Name in keyof Needed]: NonNullable<Needed[Name]> }) => T | Promise<T>,
  ): Promise<T | undefined> {
    const missing = Object.keys(needed).filter((name) => needed[name] === undefined)
    return this.run(part, () => {
      if (missing.length > 0) throw new Error(`it needs the figures of ${missing.join(' and ')}`)
      return work(needed as { readonly [Name in keyof Needed]: NonNullable<Needed[Name]> }) // none is undefined
    })
  }
}
