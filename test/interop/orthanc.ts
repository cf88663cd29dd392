/**
 * Orthanc, an archive that is not ours, with its DICOMweb plugin (Debian packages `orthanc` and `orthanc-dicomweb`), on ports of its own.
 * @module
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../cdk/local/free-port.ts'

/** Debian installs it as a service, so its program is not always on the path. */
const PROGRAM = ['/usr/sbin/Orthanc', '/usr/bin/Orthanc'].find((path) => existsSync(path))
const PLUGIN = '/usr/share/orthanc/plugins/libOrthancDicomWeb.so'

/** Why Orthanc cannot run here; `undefined` if it can. */
export function whyNoOrthanc(): string | undefined {
  if (PROGRAM === undefined) return 'no Orthanc; Debian package orthanc'
  return existsSync(PLUGIN) ? undefined : 'no DICOMweb plugin; Debian package orthanc-dicomweb'
}

export function orthancVersion(): string {
  return /Orthanc (\S+)/.exec(spawnSync(PROGRAM!, ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? 'unknown'
}

export interface Orthanc {
  readonly dicomPort: number
  readonly url: string
  /** JSON from its own REST API. */
  ask(path: string, body?: string): Promise<unknown>
  stop(): Promise<void>
}

/** @param gatewayPort where our DICOM door is, which Orthanc knows as `gateway` */
export async function startOrthanc(gatewayPort: number): Promise<Orthanc> {
  const folder = mkdtempSync(join(tmpdir(), 'orthanc-'))
  mkdirSync(join(folder, 'db'))
  const [dicomPort, httpPort] = [await freePort(), await freePort()]
  const config = {
    Name: 'interop',
    StorageDirectory: join(folder, 'db'),
    IndexDirectory: join(folder, 'db'),
    Plugins: [PLUGIN],
    DicomAet: 'ORTHANC',
    DicomPort: dicomPort,
    HttpPort: httpPort,
    // This version listens on every address; it answers only this machine, and only those that it knows by name and host.
    RemoteAccessAllowed: false,
    AuthenticationEnabled: false,
    DicomCheckCalledAet: true,
    DicomCheckModalityHost: true,
    DicomAlwaysAllowStore: false,
    DicomAlwaysAllowEcho: false,
    DicomModalities: { gateway: ['CARDIACNETS', '127.0.0.1', gatewayPort] },
    DicomWeb: { Enable: true, Root: '/dicom-web/' },
  }
  writeFileSync(join(folder, 'orthanc.json'), JSON.stringify(config))
  const child = spawn(PROGRAM!, [join(folder, 'orthanc.json')], { stdio: 'ignore' })
  const exited = once(child, 'exit')
  const url = `http://127.0.0.1:${httpPort}`
  const ask = async (path: string, body?: string): Promise<unknown> => {
    const answer = await fetch(`${url}/${path}`, body === undefined ? {} : { method: 'POST', body })
    return answer.json()
  }
  while (child.exitCode === null && !(await ask('system').then(Boolean, () => false))) {
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return {
    dicomPort,
    url,
    ask,
    async stop() {
      child.kill('SIGKILL')
      await exited
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
