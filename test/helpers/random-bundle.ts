/** The shipped bundle with a network that has learned nothing: its weights in another order. */
import { createHash } from 'node:crypto'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Reader } from 'protobufjs/minimal.js'
import { SHIPPED_BUNDLE } from '../../shared/inference/active-bundle.ts'

/** Numbers of the fields in ONNX's `onnx.proto3`. */
const GRAPH = 7
const INITIALIZER = 5
const TENSOR = { type: 2, raw: 9 } as const
const FLOAT = 1

/** @returns `folder`, filled; the same each time */
export function randomBundle(folder: string): string {
  cpSync(SHIPPED_BUNDLE, folder, { recursive: true })
  const path = join(folder, 'screen.onnx')
  const model = readFileSync(path)
  const next = generator(20_260_101)
  for (const graph of fieldsOf(model, GRAPH)) {
    for (const tensor of fieldsOf(graph, INITIALIZER)) if (typeOf(tensor) === FLOAT) shuffle(tensor, next)
  }
  writeFileSync(path, model)
  const manifestPath = join(folder, 'manifest.json')
  const manifest = JSON.parse(readFileSync(manifestPath, 'utf8'))
  const file = manifest.files.find((each: { path: string }) => each.path === 'screen.onnx')
  file.sha256 = createHash('sha256').update(model).digest('hex')
  writeFileSync(manifestPath, JSON.stringify(manifest))
  return folder
}

/** The parts of a message with this number, as views of it. */
function fieldsOf(message: Buffer, wanted: number): Buffer[] {
  const reader = Reader.create(message)
  const found: Buffer[] = []
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag >>> 3 !== wanted) reader.skipType(tag & 7)
    else {
      const length = reader.uint32()
      found.push(message.subarray(reader.pos, reader.pos + length))
      reader.skip(length)
    }
  }
  return found
}

function typeOf(tensor: Buffer): number | undefined {
  const reader = Reader.create(tensor)
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    if (tag >>> 3 === TENSOR.type) return reader.int32()
    reader.skipType(tag & 7)
  }
  return undefined
}

/** Fisher and Yates, on the four bytes of each weight. */
function shuffle(tensor: Buffer, next: () => number): void {
  const [raw] = fieldsOf(tensor, TENSOR.raw)
  if (raw === undefined) return
  for (let i = raw.length / 4 - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1))
    const kept = raw.readUInt32LE(4 * i)
    raw.writeUInt32LE(raw.readUInt32LE(4 * j), 4 * i)
    raw.writeUInt32LE(kept, 4 * j)
  }
}

/** Numerical Recipes' linear congruence, in [0, 1). */
export function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
