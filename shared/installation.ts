/**
 * How this code was installed.
 * @module
 */

/** True when the sources run directly (a clone, an image); false for code built from them (the installed package, a Lambda). */
export const RUNS_FROM_SOURCE = import.meta.filename.endsWith('.ts')
