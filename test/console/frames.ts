/**
 * Prints the table of docs/console.md: what the page's main thread works a frame. `npm run -s console:frames`, a minute; `--scene PART` for one.
 * @module
 */
import { parseArgs } from 'node:util'
import { hasBrowser, launchBrowser, NO_BROWSER } from './helpers/chromium.ts'
import { quantile } from './helpers/frames.ts'
import { measure, SCENES } from './helpers/scenes.ts'

const { values: options } = parseArgs({
  options: { scene: { type: 'string', default: '' }, steps: { type: 'string', default: '300' } },
})
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
await browser.close()
process.exit(0)
