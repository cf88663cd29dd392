/**
 * Measurements of one window by our own delineation. A measurement that the method cannot make reliably is absent.
 * @module
 */
export interface Measurements {
  /** Name and version of the method, for example `delineation-v1`. */
  readonly method: string
  readonly heartRateBpm?: number | undefined
  readonly rrMs?: number | undefined
  readonly pMs?: number | undefined
  readonly prMs?: number | undefined
  readonly qrsMs?: number | undefined
  readonly qtMs?: number | undefined
  /** QT / √RR (Bazett 1920), RR in seconds. */
  readonly qtcBazettMs?: number | undefined
  /** QT / ∛RR (Fridericia 1920), RR in seconds. */
  readonly qtcFridericiaMs?: number | undefined
  /** Frontal QRS axis, −180 to 180 degrees. */
  readonly axisDegrees?: number | undefined
}
