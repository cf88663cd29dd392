/**
 * Notices that npm, which started this process, is gone.
 * @module
 */

const LOOK_MS = 500

/**
 * Calls `act` once when the process that started this one under npm has ended: a killed npm hands no signal on. The script says
 * `exec`, so that no shell stands between the two. Without npm it does nothing. Never keeps the process alive.
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
