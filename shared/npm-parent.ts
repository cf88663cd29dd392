/**
 * Detects that npm, which started this process, has ended.
 * @module
 */

const LOOK_MS = 500

/**
 * Calls `act` once when the npm process that started this one has ended, because a killed npm does not pass its signal on. The npm script
 * must use `exec`, so that there is no shell in between. Does nothing without npm. Never keeps the process alive.
 */
export function whenNpmIsGone(act: () => void): void {
  if (process.env.npm_lifecycle_event === undefined) return
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    act()
  }, LOOK_MS)
  timer.unref()
}
