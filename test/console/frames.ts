/**
 * Prints the figures of docs/console.md: what the page's main thread works a frame, and how soon an ECG is seen on the local stack (with
 * `CONSOLE_STACK`, see helpers/stack.ts, on one that runs). `npm run -s console:frames`, some minutes; `--scene PART` for some scenes only,
 * `--scene first` for the first ECG.
 * @module
 */
import { Command } from 'commander'
import { hasBrowser, launchBrowser, NO_BROWSER } from './helpers/chromium.ts'
import { firstPaint } from './helpers/first-paint.ts'
import { quantile } from './helpers/frames.ts'
import { measure, SCENES } from './helpers/scenes.ts'
import { screened, startConsoleStack } from './helpers/stack.ts'

const options = new Command('npm run console:frames --')
  .description(
    'Prints the figures of docs/console.md: work per frame, and the time to the first ECG. Takes some minutes.',
  )
  .option('--scene <part>', 'only the scenes whose name contains this; `first` for the first ECG', '')
  .option('--steps <n>', 'steps of a scene', '300')
  .parse()
  .opts<{ scene: string; steps: string }>()
if (!hasBrowser) {
  console.error(`nothing to measure${NO_BROWSER}`)
  process.exit(2)
}
const browser = await launchBrowser()
console.log('| scene | frames | median | p95 | longest |')
console.log('| --- | --- | --- | --- | --- |')
for (const scene of SCENES.filter(({ name }) => name.includes(options.scene))) {
  const work = await measure(scene, browser, Number(options.steps))
  const ms = (share: number) => `${quantile(work, share).toFixed(1)} ms`
  console.log(`| ${scene.name} | ${work.length} | ${ms(0.5)} | ${ms(0.95)} | ${ms(1)} |`)
}
if (options.scene === '' || 'first ecg'.includes(options.scene)) {
  const stack = await startConsoleStack()
  const id = await screened(stack.apiUrl)
  const times: number[] = []
  for (let i = 0; i < 11; i++) times.push(await firstPaint(browser, stack.apiUrl, id))
  const ms = (share: number) => quantile(times, share).toFixed(0)
  console.log(
    `\nfirst ECG drawn on the local stack, of ${times.length} new browsers: median ${ms(0.5)} ms, longest ${ms(1)} ms`,
  )
  await stack.stop()
}
await browser.close()
process.exit(0)
