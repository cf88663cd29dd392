/**
 * Parses XML as ECG formats use it: elements, attributes, text. Document types are never read, entities are never expanded, and depth, size
 * and markup are limited, so that a file can neither access other resources (XXE) nor exhaust memory (billion laughs).
 * @module
 */
import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { CodedError } from '../../shared/errors.ts'
import { bytesOfBase64 } from '../../shared/waveform/base64.ts'

export interface XmlElement {
  /** Without namespace prefix. */
  readonly name: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: readonly XmlElement[]
  /** Its own text, without that of its children. */
  readonly text: string
}

/** Four minutes of twelve leads at 500 Hz as decimal digits. The parser handles text character by character: 32 MB take 10 s and 2 GB. */
const MAX_BYTES = 8 * 1024 * 1024

/** Most tags, attributes and references; an annotated ECG of ten seconds has 4,000. */
const MAX_MARKUP = 200_000

/** HL7 aECG, the deepest format, has 20. */
const MAX_DEPTH = 64

const parser = new XMLParser({
  preserveOrder: true,
  removeNSPrefix: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  processEntities: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  maxNestedTags: MAX_DEPTH,
})

/**
 * Parses a document and returns its root element.
 * @throws CodedError `payload-too-large`, `payload-malformed`, `format-unsupported` (encoding; a document type with declarations)
 */
export function parseXml(bytes: Uint8Array): XmlElement {
  if (bytes.length > MAX_BYTES) throw new CodedError('payload-too-large', { field: 'xml', maxBytes: MAX_BYTES })
  const text = withoutDoctype(decodeXml(bytes))
  if (markupIn(text) > MAX_MARKUP) throw new CodedError('payload-too-large', { field: 'xml', maxMarkup: MAX_MARKUP })
  let nodes: unknown
  try {
    // The parser closes elements that a truncated file left open; the validator does not.
    if (XMLValidator.validate(text) !== true) throw new Error('not well-formed')
    nodes = parser.parse(text)
  } catch {
    // Without a cause, because a parser's message quotes its input.
    throw new CodedError('payload-malformed', { field: 'xml' })
  }
  const [root, second] = elementsOf(nodes)
  if (root === undefined || second !== undefined) throw new CodedError('payload-malformed', { field: 'xml' })
  return root
}

/** Local name of the root element, from a file's first bytes; `undefined` when it is not XML. */
export function sniffXmlRoot(bytes: Uint8Array): string | undefined {
  const head = bytes.subarray(0, SNIFFED_BYTES)
  let text: string
  try {
    text = decodeXml(head)
  } catch {
    return undefined
  }
  return ROOT.exec(text.slice(rootAt(text)))?.groups?.root
}

/** Enough for the comments that some files have before their root element. */
const SNIFFED_BYTES = 16_384

const ROOT = /^<(?:[\w.-]+:)?(?<root>[A-Za-z_][\w.-]*)[\s/>]/

/** Constructs before the root element: start and end. */
const PROLOG: readonly (readonly [string, string])[] = [
  ['<?', '?>'],
  ['<!--', '-->'],
  ['<!DOCTYPE', '>'],
]

/** Offset of the first element, after processing instructions, comments and a document type. */
function rootAt(text: string): number {
  for (let at = 0; ; ) {
    while (/^\s/.test(text.charAt(at))) at++
    const [begin, end = ''] = PROLOG.find(([start]) => text.startsWith(start, at)) ?? []
    const closed = begin === undefined ? -1 : text.indexOf(end, at + begin.length)
    if (closed < 0) return at
    at = closed + end.length
  }
}

/** The first child with this name. */
export function child(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return element?.children.find((each) => each.name === name)
}

/** The children with this name. */
export function childrenOf(element: XmlElement | undefined, name: string): XmlElement[] {
  return element?.children.filter((each) => each.name === name) ?? []
}

/** The element at a path of first children. */
export function at(element: XmlElement | undefined, ...path: readonly string[]): XmlElement | undefined {
  return path.reduce(child, element)
}

/** The trimmed text at such a path; `undefined` when it is absent or empty. */
export function textAt(element: XmlElement | undefined, ...path: readonly string[]): string | undefined {
  return at(element, ...path)?.text.trim() || undefined
}

/** The number at such a path; `undefined` when there is none. */
export function numberAt(element: XmlElement | undefined, ...path: readonly string[]): number | undefined {
  return decimal(textAt(element, ...path))
}

/** A decimal number; `undefined` for any other text. */
export function decimal(text: string | undefined): number | undefined {
  return text !== undefined && DECIMAL.test(text.trim()) ? Number(text) : undefined
}

const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,3})?$/i

/** The first descendant with this name, depth first. */
export function descendant(element: XmlElement, name: string): XmlElement | undefined {
  for (const each of element.children) {
    const found = each.name === name ? each : descendant(each, name)
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * Bytes of base64 text; white space in it is ignored.
 * @throws CodedError `payload-malformed` naming `field`
 */
export function base64Bytes(text: string, field: string): Uint8Array {
  const bytes = bytesOfBase64(text)
  if (bytes === undefined) throw new CodedError('payload-malformed', { field })
  return bytes
}

const ENCODINGS: ReadonlyMap<string, string> = new Map([
  ['utf-8', 'utf-8'],
  ['utf8', 'utf-8'],
  ['us-ascii', 'utf-8'],
  ['ascii', 'utf-8'],
  ['iso-8859-1', 'windows-1252'],
  ['latin1', 'windows-1252'],
  ['windows-1252', 'windows-1252'],
])

/** Text of a document: UTF-16 by its byte order mark, else by its declaration, else UTF-8. */
function decodeXml(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes)
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be').decode(bytes)
  const declaration = new TextDecoder('latin1').decode(bytes.subarray(0, 200))
  const label = /^(?:\u00ef\u00bb\u00bf)?<\?xml[^>]*?\sencoding\s*=\s*["']([\w.-]+)["']/.exec(declaration)?.[1]
  const encoding = label === undefined ? 'utf-8' : ENCODINGS.get(label.toLowerCase())
  if (encoding === undefined) throw new CodedError('format-unsupported', { field: 'encoding' })
  return new TextDecoder(encoding).decode(bytes)
}

const DECLARATION = /<!(?:DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)/gi

// GE MUSE names a DTD that is not available; it is skipped and never fetched.
const DOCTYPE = /^<!DOCTYPE\s+[\w:.-]+(?:\s+SYSTEM\s+(?:"[^"]*"|'[^']*'))?\s*>/

const MAX_DOCTYPE_LENGTH = 1024

/** @throws CodedError `format-unsupported` for a document type with declarations, or any declaration elsewhere */
function withoutDoctype(text: string): string {
  const declarations = text.match(DECLARATION)?.length ?? 0
  if (declarations === 0) return text
  const at = text.indexOf('<!DOCTYPE')
  const [doctype] = DOCTYPE.exec(at < 0 ? '' : text.slice(at, at + MAX_DOCTYPE_LENGTH)) ?? []
  if (declarations > 1 || doctype === undefined) throw new CodedError('format-unsupported', { field: 'doctype' })
  return text.slice(0, at) + text.slice(at + doctype.length)
}

/** Number of `<`, `=` and `&`: an upper bound on tags, attributes and references. */
function markupIn(text: string): number {
  let count = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x3c || code === 0x3d || code === 0x26) count++
  }
  return count
}

/** Converts the parser's ordered nodes: `{tag: children, ':@': attributes}` or `{'#text': text}`. */
function elementsOf(nodes: unknown): XmlElement[] {
  if (!Array.isArray(nodes)) return []
  const elements: XmlElement[] = []
  for (const node of nodes) {
    if (typeof node !== 'object' || node === null) continue
    const fields = Object.entries(node as Readonly<Record<string, unknown>>) // as: any object has entries
    const [name, content] = fields.find(([key]) => key !== ':@' && key !== '#text') ?? []
    if (name === undefined) continue
    const attributes = Object.entries(Object(fields.find(([key]) => key === ':@')?.[1]))
    elements.push({
      name,
      attributes: new Map(attributes.map(([key, value]) => [key, decodeReferences(String(value))])),
      children: elementsOf(content),
      text: decodeReferences(textOf(content)),
    })
  }
  return elements
}

function textOf(nodes: unknown): string {
  if (!Array.isArray(nodes)) return ''
  return nodes.map((node: unknown) => (isTextNode(node) ? String(node['#text']) : '')).join('')
}

const isTextNode = (node: unknown): node is { '#text': unknown } =>
  typeof node === 'object' && node !== null && '#text' in node

const REFERENCES: ReadonlyMap<string, string> = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['amp', '&'],
  ['quot', '"'],
  ['apos', "'"],
])

/** Decodes the five predefined references and numeric ones (.NET writes line ends so), in one pass, so that the text cannot grow. */
function decodeReferences(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{1,8}));/gi, (whole, digits, hex, name) => {
    if (name !== undefined) return REFERENCES.get(name) ?? whole
    const code = digits === undefined ? Number.parseInt(hex, 16) : Number(digits)
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}
