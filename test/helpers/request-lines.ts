/**
 * Requests as no client sends them: for a server to refuse, and to go on.
 * @module
 */
import { once } from 'node:events'
import { connect } from 'node:net'

const TARGETS: readonly string[] = [
  '//',
  '///',
  '//x:99999/',
  '//[/',
  '//user@/',
  '/\\',
  '\\\\x\\',
  'http://x:99999/',
  'http://',
  'http:///',
  'http://[::1/',
  'http://%zz/',
  'HTTP://evil.example/v1/ecgs',
  'https://127.0.0.1:0/',
  'ftp://127.0.0.1/',
  'javascript:1',
  'x',
  '*',
  '?',
  '#',
  '.',
  '/..',
  '/../../etc/passwd',
  '/%',
  '/%zz',
  '/%00',
  '/%2f%2f',
  '/%e0%80%80',
  '/v1/ecgs/%',
  '/v1/ecgs?after=%',
  '/v1/events?%zz=%zz',
  '/v1/cmr/%ff',
  '/fhir/%c0%ae',
  '/__proto__',
  '/constructor?__proto__=1&__proto__[x]=1',
  '/topics/%zz',
  '/topics/%',
  '/[',
  '/]',
  '/{id}',
  '/\u0080\u00ff',
  '/"<>^`{|}',
  `/${'a'.repeat(8_000)}`,
  `/${'%41'.repeat(4_000)}`,
  `/?${'a=1&'.repeat(3_000)}`,
  `/${'a/'.repeat(3_000)}`,
  `http://127.0.0.1/${'a'.repeat(20_000)}`,
]

const METHODS: readonly string[] = ['GET', 'POST', 'OPTIONS', 'CONNECT', 'QUERY', 'BREW']

const HOSTS: readonly (string | undefined)[] = [
  undefined,
  '',
  'evil.example',
  '127.0.0.1.evil.example',
  'localhost:99999',
  '127.0.0.1:http',
  '[::1',
  'a b',
  '127.0.0.1, evil.example',
]

const request = (line: string, host: string | undefined, more = '') =>
  `${line}\r\n${host === undefined ? '' : `Host: ${host}\r\n`}${more}Connection: close\r\n\r\n`

/** Some four hundred, each as it goes over the wire. */
export const MALFORMED_REQUESTS: readonly string[] = [
  ...METHODS.flatMap((method) => TARGETS.map((target) => request(`${method} ${target} HTTP/1.1`, '127.0.0.1'))),
  ...HOSTS.flatMap((host) => ['/', '/v1/ecgs', '//'].map((target) => request(`GET ${target} HTTP/1.1`, host))),
  ...['', ' ', 'GET', 'GET /', 'GET / HTTP/9.9', 'GET  / HTTP/1.1', 'GET /\tHTTP/1.1', '\0', 'GET / HTTP/1.1 x'].map(
    (line) => request(line, '127.0.0.1'),
  ),
  ...[
    'Content-Length: -1',
    'Content-Length: 1e9',
    'Content-Length: 5\r\nContent-Length: 6',
    'Transfer-Encoding: x',
  ].map((header) => request('POST /v1/ecgs HTTP/1.1', '127.0.0.1', `${header}\r\n`)),
  ...['Expect: 100-continue', 'Expect: x', 'Upgrade: websocket', 'Upgrade: h2c\r\nHTTP2-Settings: x'].map((header) =>
    request('GET /healthz HTTP/1.1', '127.0.0.1', `${header}\r\nConnection: Upgrade\r\n`),
  ),
  request('GET /healthz HTTP/1.1', '127.0.0.1', `${'X-A: b\r\n'.repeat(3_000)}`),
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\x16\x03\x01\x02\x00\x01\x00',
  '{"method":"GET"}\r\n\r\n',
]

/** Sends bytes as they are; what came back until the connection ended. */
export async function sendRaw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  // The server may close the connection before all is written.
  socket.on('error', () => {})
  socket.end(Buffer.from(bytes, 'latin1'))
  await once(socket, 'close')
  return Buffer.concat(chunks).toString('latin1')
}

/** The status of an answer; undefined where the connection was closed without one. */
export const statusOf = (answer: string): number | undefined => Number(answer.split(' ', 2)[1]) || undefined
