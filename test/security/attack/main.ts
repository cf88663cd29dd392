/**
 * Attacks the local stack and prints what came of it: `npm run -s attack`. `--json` prints one document, `--short` sends less (as CI does),
 * `--only KIND` makes the attacks of one kind. Exit code 1 where one succeeds.
 * @module
 */
import { Command } from 'commander'
import { type Judged, judge } from './attack.ts'
import { ATTACKS } from './index.ts'
import { SIZES, startWorld } from './world.ts'

const values = new Command('npm run attack --')
  .description('Attacks the local stack and prints what came of it. Exit code 1 when an attack succeeds.')
  .option('--json', 'print one JSON document')
  .option('--short', 'send less, as CI does')
  .option('--only <kind>', 'only the attacks of one kind')
  .parse()
  .opts<{ json?: true; short?: true; only?: string }>()
const wanted = ATTACKS.filter(({ kind }) => kind === (values.only ?? kind))
if (wanted.length === 0) {
  console.error(`no attack is of the kind ${values.only}: ${[...new Set(ATTACKS.map(({ kind }) => kind))].join(', ')}`)
  process.exit(2)
}

const say = (line: string) => values.json || console.log(line)
const world = await startWorld(values.short ? SIZES.short : SIZES.full)
const judged: Judged[] = []
try {
  say('| kind | attack | expected | got | ok | ms |')
  say('| --- | --- | --- | --- | --- | --- |')
  for (const attack of wanted) {
    const row = await judge(attack, world)
    judged.push(row)
    say(
      `| ${row.kind} | ${row.attack} | ${row.expected} | ${row.ok ? 'the same' : row.got} | ${row.ok ? 'yes' : 'NO'} | ${row.ms} |`,
    )
  }
} finally {
  await world.stop()
}
const succeeded = judged.filter(({ ok }) => !ok)
if (values.json) console.log(JSON.stringify({ attacks: judged, succeeded: succeeded.length }, null, 2))
say(`\n${judged.length} attacks, ${succeeded.length} succeeded`)
process.exit(succeeded.length === 0 ? 0 : 1)
