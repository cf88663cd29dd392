/**
 * The guard of the project `unit` (`vitest.config.ts`): a test there opens no socket and starts no process.
 * @module
 */
import children from 'node:child_process'
import { syncBuiltinESMExports } from 'node:module'
import { Server, Socket } from 'node:net'

const forbidden = (what: string) => (): never => {
  throw new Error(`a unit test may not ${what}: list its file under \`stack\` in vitest.config.ts`)
}

Server.prototype.listen = forbidden('listen on a port')
Socket.prototype.connect = forbidden('open a connection')
for (const name of ['spawn', 'fork', 'exec', 'execFile', 'spawnSync', 'execSync', 'execFileSync'] as const) {
  Object.assign(children, { [name]: forbidden('start a process') })
}
syncBuiltinESMExports()
