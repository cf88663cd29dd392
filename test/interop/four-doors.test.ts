/**
 * The four doors of a gateway beside `npm start`, each used by one command of docs/gateway.md with a program of others. Pages are kept in
 * `.local/four-doors` to be looked at.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { freePort } from '../../cdk/local/free-port.ts'
import { parseResult, type Result } from '../../shared/domain/result.ts'
import { readRecording } from '../../streams/formats/index.ts'
import { Lines } from '../cdk/helpers/assembly.ts'
import { temporaryFolder } from '../helpers/temporary-folder.ts'
import { startEhr, until } from '../streams/gateway/helpers.ts'
import { waveOru } from '../streams/hl7/helpers.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const SAMPLES = join(ROOT, 'test/fixtures/samples')
const PAGES = join(ROOT, '.local/four-doors')

/** An MLLP client of others: the Python package hl7. */
const MLLP_SEND = ['run', '--offline', '--quiet', '--no-project', '--with', 'hl7', 'mllp_send'] as const

const run = promisify(execFile)
const lacking = [
  spawnSync('storescu', ['--version']).error && 'dcmtk (Debian package)',
  spawnSync('pdftoppm', ['-v']).error && 'poppler-utils (Debian package)',
  spawnSync('uv', [...MLLP_SEND, '--version']).status !== 0 &&
    '`uv run --no-project --with hl7 mllp_send --version`, once',
].filter((each) => typeof each === 'string')

function start(command: string, args: readonly string[]): { readonly child: ChildProcess; readonly output: Lines } {
  const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(async () => {
    child.kill('SIGTERM')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const output = new Lines()
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream! }).on('line', (line) => output.add(line))
  return { child, output }
}

describe.skipIf(lacking.length > 0)(
  `a gateway beside npm start${lacking.length > 0 ? ` (skipped: ${lacking.join(', ')})` : ''}`,
  () => {
    it('returns four results, at the senders and on the API', { timeout: 120_000 }, async () => {
      const folder = temporaryFolder()
      const [data, inbox, archive] = ['data', 'inbox', 'archive'].map((name) => join(folder, name)) as [
        string,
        string,
        string,
      ]
      for (const each of [inbox, archive]) mkdirSync(each)
      mkdirSync(PAGES, { recursive: true })
      const ports = await Promise.all(Array.from({ length: 5 }, () => freePort()))
      const [mqtt, hl7, dicom, status, pacs] = ports as [number, number, number, number, number]
      const stack = start(process.execPath, [
        ...['cdk/local/main.ts', '--no-demo', '--data', data],
        ...['--port', '0', '--mqtt-port', '0', '--fhir-port', '0'],
      ])
      const lines = await stack.output.until((all) => all.some((line) => line.includes('Ctrl-C stops it')))
      const api = /\w+:\/\/\S+/.exec(lines.find((line) => line.includes(' API '))!)![0]
      const ehr = await startEhr()
      onTestFinished(() => ehr.close())
      start('storescp', ['--fork', '-aet', 'PACS', '-od', archive, String(pacs)])
      const config = join(folder, 'gateway.json')
      writeFileSync(
        config,
        JSON.stringify({
          data: 'journal',
          virtual: true,
          mqtt: { port: mqtt },
          hl7: { port: hl7 },
          dicom: { port: dicom, allow: ['STORESCU'] },
          folder: { watch: 'inbox' },
          status: { port: status },
          destinations: [{ name: 'ehr', host: '127.0.0.1', port: ehr.port }],
          archives: [{ kind: 'dicom', name: 'pacs', host: '127.0.0.1', port: pacs, called: 'PACS' }],
        }),
      )
      const cli = 'functions/cli/main.ts'
      const gateway = start(process.execPath, [
        cli,
        'gateway',
        '--config',
        config,
        '--outputs',
        join(data, 'outputs.json'),
      ])
      await gateway.output.until((all) => all.some((line) => line.includes('gateway ready')))

      await run('storescu', ['-aec', 'CARDIACNETS', '127.0.0.1', String(dicom), join(SAMPLES, 'normal.dcm')])
      const message = join(folder, 'oru.hl7')
      writeFileSync(message, waveOru(await readRecording(join(SAMPLES, 'left-bundle-branch-block.hea'))))
      const sent = await run('uv', [...MLLP_SEND, '--loose', '--file', message, '--port', String(hl7), '127.0.0.1'])
      for (const end of ['dat', 'hea'])
        copyFileSync(join(SAMPLES, `atrial-fibrillation.${end}`), join(inbox, `atrial-fibrillation.${end}`))
      const streamed = await run(
        process.execPath,
        [
          cli,
          'stream',
          'functions/cli/demo/virtual-ecg.hea',
          '--to',
          `mqtt://127.0.0.1:${mqtt}`,
          '--speed',
          'Infinity',
          '--json',
        ],
        { cwd: ROOT, maxBuffer: 16e6 },
      )

      const inFolder = () => readdirSync(join(inbox, 'done')).filter((name) => name.endsWith('.result.json'))
      await until(inFolder, (names) => names.length === 1)
      // Each recording goes to the EHR and to the archive, whatever door it came by.
      await until(
        () => ehr.messages.length,
        (count) => count === 3,
      )
      await until(
        () => readdirSync(archive).length,
        (count) => count === 3,
      )
      const shown = await until(
        async () => {
          const { items } = (await (await fetch(`${api}/v1/ecgs`)).json()) as {
            items: { ecgId: string; status: string }[]
          }
          return items.filter((item) => item.status === 'screened')
        },
        (items) => items.length === 4,
      )

      const results: readonly Result[] = [
        parseResult(readFileSync(join(inbox, 'done', inFolder()[0]!), 'utf8')),
        parseResult(streamed.stdout.trim()),
      ]
      const ids = new Set(shown.map(({ ecgId }) => ecgId))
      expect(sent.stdout).toContain('MSA|AA')
      expect(results.map(({ status }) => status)).toEqual(['screened', 'screened'])
      expect(results.filter(({ ecgId }) => !ids.has(ecgId))).toEqual([])
      for (const [index, oru] of ehr.messages.entries()) {
        const obx = oru.all('OBX').find((each) => each.text(2) === 'ED')!
        const pdf = join(PAGES, `report-${index}.pdf`)
        writeFileSync(pdf, Buffer.from(obx.components(obx.raw(5)).at(-1)!, 'base64'))
        await run('pdftoppm', ['-png', '-r', '100', '-singlefile', pdf, pdf.replace('.pdf', '')])
        expect(existsSync(pdf.replace('.pdf', '.png'))).toBe(true)
      }
      for (const name of readdirSync(archive)) {
        const { stdout } = await run('dsrdump', [join(archive, name)])
        expect(stdout).toContain('Enhanced SR')
      }
    })
  },
)
