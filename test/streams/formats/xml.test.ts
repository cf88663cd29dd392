import { describe, expect, test } from 'vitest'
import {
  at,
  base64Bytes,
  child,
  childrenOf,
  descendant,
  numberAt,
  parseXml,
  sniffXmlRoot,
  textAt,
} from '../../../streams/formats/xml.ts'
import { codedError } from '../../helpers/errors.ts'

const parse = (text: string) => parseXml(Buffer.from(text))

describe('the XML parser', () => {
  test('returns a tree of elements without prefixes, with attributes and text', () => {
    const root = parse('<?xml version="1.0"?><a:r xmlns:a="urn:x"><a:b a:n="1">x<c/>y</a:b><b n="2"> 2.5 </b></a:r>')

    expect(root.name).toBe('r')
    expect(childrenOf(root, 'b').map(({ attributes }) => attributes.get('n'))).toEqual(['1', '2'])
    expect(child(root, 'b')?.text).toBe('xy')
    expect(descendant(root, 'c')?.name).toBe('c')
    expect(at(root, 'b', 'c')?.children).toEqual([])
    expect(textAt(root, 'b', 'c')).toBeUndefined()
    expect(numberAt({ ...root, children: childrenOf(root, 'b').slice(1) }, 'b')).toBe(2.5)
  })

  test('resolves CDATA, comments and character references', () => {
    const root = parse('<r n="&quot;&#65;"><!-- <x> -->a<![CDATA[<b>]]>&lt;&amp;lt;&#x20AC;&unknown;</r>')

    expect(root.text).toBe('a<b><&lt;€&unknown;')
    expect(root.attributes.get('n')).toBe('"A')
  })

  test.each([
    ['UTF-8 with a byte order mark', Buffer.from('\uFEFF<?xml version="1.0" encoding="UTF-8"?><r>é</r>')],
    ['UTF-16, little-endian', Buffer.from('\uFEFF<?xml version="1.0" encoding="utf-16"?><r>é</r>', 'utf16le')],
    ['UTF-16, big-endian', Buffer.from('\uFEFF<?xml version="1.0" encoding="utf-16"?><r>é</r>', 'utf16le').swap16()],
    ['Latin-1', Buffer.from('<?xml version="1.0" encoding="ISO-8859-1"?><r>é</r>', 'latin1')],
    ['no declaration', Buffer.from('<r>é</r>')],
  ])('reads %s', (_, bytes) => {
    expect(sniffXmlRoot(bytes)).toBe('r')
    expect(parseXml(bytes).text).toBe('é')
  })

  test('refuses other encodings', () => {
    expect(codedError(() => parse('<?xml version="1.0" encoding="EBCDIC-US"?><r/>')).code).toBe('format-unsupported')
  })

  test.each([
    ['an empty document', ''],
    ['text that is not XML', 'I,II\n1,2\n'],
    ['a truncated document', '<r><a>1</a><b>'],
    ['crossing tags', '<r><a><b></a></b></r>'],
    ['two roots', '<r/><r/>'],
    ['an attribute without quotation marks', '<r a=1/>'],
  ])('refuses %s', (_, text) => {
    expect(codedError(() => parse(text)).code).toBe('payload-malformed')
  })

  test.each([
    ['a reference to a DTD', '<!DOCTYPE RestingECG SYSTEM "restecg.dtd">'],
    ['a plain document type', '<!DOCTYPE RestingECG>'],
  ])('ignores %s', (_, doctype) => {
    const bytes = Buffer.from(`<?xml version="1.0"?>\n${doctype}\n<RestingECG>1</RestingECG>`)

    expect(sniffXmlRoot(bytes)).toBe('RestingECG')
    expect(parseXml(bytes).text).toBe('1')
  })
})

describe('the XML parser on hostile input', () => {
  test.each([
    ['an external entity (XXE)', '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>'],
    ['an external parameter entity', '<!DOCTYPE r [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;]><r/>'],
    [
      'billion laughs',
      `<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">${'bcdefghij'
        .split('')
        .map((name, i) => `<!ENTITY ${name} "${`&${'abcdefghij'[i]};`.repeat(10)}">`)
        .join('')}]><r>&j;</r>`,
    ],
    ['quadratic blow-up', `<!DOCTYPE r [<!ENTITY a "${'a'.repeat(50_000)}">]><r>${'&a;'.repeat(50_000)}</r>`],
    ['an empty internal subset', '<!DOCTYPE r []><r/>'],
    ['two document types', '<!DOCTYPE r><!DOCTYPE r><r/>'],
    ['a document type inside the document', '<r><!DOCTYPE r [<!ENTITY a "b">]>&a;</r>'],
    ['a declaration without a document type', '<!ENTITY a "b"><r>&a;</r>'],
    ['a public identifier', '<!DOCTYPE r PUBLIC "-//X//Y" "http://127.0.0.1:9/x.dtd"><r/>'],
  ])('refuses %s', (_, text) => {
    expect(codedError(() => parse(text))).toMatchObject({ code: 'format-unsupported', detail: { field: 'doctype' } })
  })

  test('refuses deep nesting', () => {
    expect(codedError(() => parse(`${'<a>'.repeat(70)}${'</a>'.repeat(70)}`)).code).toBe('payload-malformed')
    expect(codedError(() => parse(`${'<a>'.repeat(90_000)}${'</a>'.repeat(90_000)}`)).code).toBe('payload-malformed')
  })

  test.each([
    ['references', `<r>${'&amp;'.repeat(200_000)}</r>`],
    ['elements', `<r>${'<a/>'.repeat(200_000)}</r>`],
    ['attributes', `<r ${Array.from({ length: 200_001 }, (_, i) => `a${i}=""`).join(' ')}/>`],
  ])('refuses too many %s before parsing', (_, text) => {
    expect(codedError(() => parse(text))).toMatchObject({ code: 'payload-too-large', detail: { maxMarkup: 200_000 } })
  })

  test('refuses a document that is too large', () => {
    const bytes = new Uint8Array(8 * 1024 * 1024 + 1)

    expect(codedError(() => parseXml(bytes)).code).toBe('payload-too-large')
  })

  test('cannot touch the prototype of objects', () => {
    const text = '<r><__proto__ polluted="yes"><polluted>1</polluted></__proto__><constructor/></r>'

    expect(codedError(() => parse(text)).code).toBe('payload-malformed')
    expect(({} as Record<string, unknown>).polluted).toBeUndefined() // as: what pollution would show up as
  })
})

describe('sniffXmlRoot', () => {
  test.each([
    ['after comments', '<!-- <a> -- > --><!----><r>', 'r'],
    ['with attributes', '<h:r x="1">', 'r'],
    ['with an empty root', '<r/>', 'r'],
    ['none in plain text', 'I,II\n<r>', undefined],
    ['none in an empty document', '', undefined],
    ['none after an unterminated comment', `<!--${'-'.repeat(10_000)}`, undefined],
    ['after many comments', `${'<!-- -->'.repeat(1000)}<r>`, 'r'],
  ])('finds the root of a document: %s', (_, text, root) => {
    expect(sniffXmlRoot(Buffer.from(text))).toBe(root)
  })
})

describe('base64 text', () => {
  test('is read across lines', () => {
    expect([...base64Bytes(' AQID\r\n\tBAU=\n', 'x')]).toEqual([1, 2, 3, 4, 5])
  })

  test.each([
    ['URL-safe', 'A-_D', [3, 239, 195]],
    ['unpadded', 'AQI', [1, 2]],
  ])('is read when %s', (_, text, bytes) => {
    expect([...base64Bytes(text, 'x')]).toEqual(bytes)
  })

  test.each(['AQIDA', 'AQ=D', '=AQI', 'AQ!D'])('is refused when malformed: %s', (text) => {
    expect(codedError(() => base64Bytes(text, 'x'))).toMatchObject({
      code: 'payload-malformed',
      detail: { field: 'x' },
    })
  })
})
