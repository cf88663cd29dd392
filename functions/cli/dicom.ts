/**
 * `cardiacnets dicom`: sends DICOM files (drawn cines, ECGs) to an archive, and checks that it answers.
 * @module
 */
import { readFileSync } from 'node:fs'
import { Command, InvalidArgumentError } from 'commander'
import { type DicomPeer, echo, storeFile, stow } from '../../streams/dicom/scu.ts'
import { EXIT, reportError } from './output.ts'

interface PeerOptions {
  readonly to: string
  readonly called: string
  readonly calling: string
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export function dicomCommand(): Command {
  const peerOptions = (command: Command) =>
    command
      .requiredOption('--to <host:port>', 'the archive', parseAddress)
      .option('--called <title>', "the archive's AE title", 'ANY-SCP')
      .option('--calling <title>', 'our AE title', 'CARDIACNETS')
      .option('--ca <file>', 'CA certificate of the archive (PEM); turns TLS on')
      .option('--cert <file>', 'client certificate (PEM)')
      .option('--key <file>', 'key of the client certificate (PEM)')
  return new Command('dicom')
    .description('send DICOM files to an archive')
    .addCommand(
      peerOptions(new Command('echo').description('C-ECHO: test the connection')).action(
        async (options: PeerOptions) => {
          await echo(peerOf(options))
          process.stdout.write('the archive answers\n')
        },
      ),
    )
    .addCommand(
      peerOptions(new Command('store').description('send files by C-STORE').argument('<file...>')).action(
        async (files: string[], options: PeerOptions) => {
          process.exitCode = await each(files, (file) => storeFile(peerOf(options), file))
        },
      ),
    )
    .addCommand(
      new Command('stow')
        .description('send files by STOW-RS')
        .argument('<file...>')
        .requiredOption('--url <url>', 'the DICOMweb address, e.g. https://archive.example/dicom-web')
        .option('--token-file <file>', 'file with a bearer token')
        .action(async (files: string[], { url, tokenFile }: { url: string; tokenFile?: string }) => {
          const token = tokenFile === undefined ? undefined : readFileSync(tokenFile, 'utf8').trim()
          process.exitCode = await each(files, (file) => stow(url, file, token))
        }),
    )
}

/**
 * Sends the files one after another. A failed file does not stop the next.
 * @returns exit code: that of the first failure, else 0
 */
async function each(files: readonly string[], send: (file: string) => Promise<unknown>): Promise<number> {
  let failed: number = EXIT.ok
  for (const file of files) {
    try {
      await send(file)
      process.stdout.write(`${file}: stored\n`)
    } catch (error) {
      failed ||= reportError(error, file)
    }
  }
  return failed
}

function peerOf({ to, called, calling, ca, cert, key }: PeerOptions): DicomPeer {
  const [host, port] = to.split(':') as [string, string] // as `parseAddress` checked it
  const pem = (name: 'ca' | 'cert' | 'key', file: string | undefined) =>
    file === undefined ? {} : { [name]: readFileSync(file) }
  const tls = { ...pem('ca', ca), ...pem('cert', cert), ...pem('key', key) }
  return { host, port: Number(port), called, calling, ...(ca === undefined ? {} : { tls }) }
}

function parseAddress(text: string): string {
  if (/^[\w.-]{1,253}:\d{1,5}$/.test(text)) return text
  throw new InvalidArgumentError('as host:port')
}
