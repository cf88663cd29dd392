/**
 * How this code came to this machine.
 * @module
 */

/** Whether the sources run themselves (a clone, an image), not what was built from them (the installed package, a Lambda). */
export const RUNS_FROM_SOURCE = import.meta.filename.endsWith('.ts')
