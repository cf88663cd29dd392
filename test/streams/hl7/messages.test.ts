import { describe, expect, it } from 'vitest'
import { CodedError } from '../../../shared/errors.ts'
import { acknowledge, acknowledgeBroken, readAcknowledgement } from '../../../streams/hl7/acknowledge.ts'
import { escapeText, parseMessage } from '../../../streams/hl7/message.ts'
import { bytesOf, header } from './helpers.ts'

const BY = { application: 'CN', facility: 'LAB', controlId: () => 'A1', now: () => new Date('2026-01-02T03:04:05Z') }

describe('parseMessage', () => {
  it('splits by the separators of the header', () => {
    const message = parseMessage(Buffer.from('MSH$%*!@$A$B$C$D$2026$$ORU%R01$7$P$2.3\rPID$$$11%%%H%MR*22%%%H%PI'))

    expect(message.type).toBe('ORU^R01')
    expect(message.controlId).toBe('7')
    expect(
      message
        .first('PID')!
        .repetitions(3)
        .map((each) => message.first('PID')!.part(each, 1)),
    ).toEqual(['11', '22'])
  })

  it('decodes escapes, and encodes them again', () => {
    const text = 'a|b^c~d\\e&f\ng'

    const message = parseMessage(bytesOf([header({ type: 'ORU^R01' }), `OBX|1|ST|||${escapeText(text)}\\X41\\`]))

    expect(message.first('OBX')!.text(5)).toBe(`${text}A`)
  })

  it.each(['\r', '\n', '\r\n'])('accepts segments that end with %j', (end) => {
    const text = [header({ type: 'ORU^R01' }), 'PID|1||5', ''].join(end)

    expect(parseMessage(Buffer.from(text)).segments.map(({ name }) => name)).toEqual(['MSH', 'PID'])
  })

  it.each([
    ['8859/1', Buffer.from('M\xfcller', 'latin1')],
    ['UNICODE UTF-8', Buffer.from('Müller')],
    ['', Buffer.from('Müller')],
    ['', Buffer.from('M\xfcller', 'latin1')],
  ])('reads the character set %j', (charset, name) => {
    const head = bytesOf([header({ type: 'ADT^A01', charset })])

    const message = parseMessage(Buffer.concat([head, Buffer.from('PID|1||||'), name]))

    expect(message.first('PID')!.text(5)).toBe('Müller')
  })

  it.each([
    'ISO8859-1',
    'ISO 8859-1',
    '8859-1',
    'ISO IR100',
    'ISO_IR 100',
    'windows-1252',
    'ASCII~8859/1',
    '8859/1~8859/2',
  ])('knows %j as a name of Latin-1', (charset) => {
    const head = bytesOf([header({ type: 'ADT^A01', charset })])

    const message = parseMessage(Buffer.concat([head, Buffer.from('PID|1||||M\xfcller', 'latin1')]))

    expect(message.first('PID')!.text(5)).toBe('Müller')
  })

  // The second bytes of these characters are `|`, `^`, `~` and `&`.
  it.each(['~ISO IR87', 'ASCII~ISO IR87', 'ISO IR6~ISO IR87~ISO IR159', 'ISO IR87'])(
    'reads Japanese by the character set %j',
    (charset) => {
      const name = Buffer.from('\x1b$B\x30\x7c\x30\x5e\x30\x7e\x30\x26\x1b(B', 'latin1')
      const head = bytesOf([header({ type: 'ADT^A01', charset })])

      const message = parseMessage(Buffer.concat([head, Buffer.from('PID|1||4711||'), name, Buffer.from('^L|X')]))

      expect(message.first('PID')!.components(message.first('PID')!.raw(5))).toEqual(['淫緯蔭愛', 'L'])
      expect(message.first('PID')!.text(6)).toBe('X')
    },
  )

  it('reads a message behind a byte order mark', () => {
    const message = parseMessage(Buffer.from(`\uFEFF${header({ type: 'ADT^A01' })}\rPID|1||4711`))

    expect(message.segments.map(({ name }) => name)).toEqual(['MSH', 'PID'])
  })

  it('puts lines together that a sender broke within an OBX', () => {
    const text = [
      header({ type: 'ORU^R01' }),
      'OBX|1|ED|x||A^b^c^Base64^AAAA\r\nBBBB\r\n  CCC=||||||F',
      'OBX|2|TX|x||a line\r\nthat goes on',
      'ZPI|1',
      'ZZZ',
    ]

    const { segments } = parseMessage(Buffer.from(text.join('\r\n')))

    expect(segments.map(({ name }) => name)).toEqual(['MSH', 'OBX', 'OBX', 'ZPI', 'ZZZ'])
    expect(segments[1]!.text(5, 5)).toBe('AAAA\nBBBB\nCCC=')
    expect(segments[1]!.text(11)).toBe('F')
    expect(segments[2]!.text(5)).toBe('a line\nthat goes on')
  })

  it.each([
    ['UTF-16', header({ type: 'ORU^R01', charset: 'UNICODE UTF-16' }), 'format-unsupported', 'MSH[0].18'],
    [
      'a part of ISO 8859 that does not exist',
      header({ type: 'ORU^R01', charset: '8859/12' }),
      'format-unsupported',
      'MSH[0].18',
    ],
    [
      'a second unknown character set',
      header({ type: 'ORU^R01', charset: 'ASCII~X' }),
      'format-unsupported',
      'MSH[0].18',
    ],
    [
      'another message behind it',
      `${header({ type: 'ORU^R01' })}\rPID|1\r${header({ type: 'ORU^R01' })}`,
      'payload-malformed',
      'MSH[2]',
    ],
    ['a batch', `BHS|^~\\&|A|B\r${header({ type: 'ORU^R01' })}\rBTS|1`, 'format-unsupported', 'BHS[0]'],
    ['a file of batches', `FHS|^~\\&|A|B\rBHS|^~\\&\r${header({ type: 'ORU^R01' })}`, 'format-unsupported', 'FHS[0]'],
    [
      'a damaged name behind samples',
      `${header({ type: 'ORU^R01' })}\rOBX|1|NA|I||1^2\robx|2`,
      'payload-malformed',
      'segment[2]',
    ],
    [
      'a damaged name behind a text',
      `${header({ type: 'ORU^R01' })}\rOBX|1|TX|I||a||||||F\robx|2`,
      'payload-malformed',
      'segment[2]',
    ],
    ['a segment in two parts', `${header({ type: 'ORU^R01' })}\rOBX|1\rADD|rest`, 'format-unsupported', 'ADD[2].1'],
    ['a part that follows', `${header({ type: 'ORU^R01' })}\rOBX|1\rDSC|17`, 'format-unsupported', 'DSC[2].1'],
    ['an unknown character set', header({ type: 'ORU^R01', charset: 'EBCDIC' }), 'format-unsupported', 'MSH[0].18'],
    [
      'bytes outside the stated character set',
      `${header({ type: 'ORU^R01', charset: 'UNICODE UTF-8' })}\r\xff`,
      'payload-malformed',
      'MSH[0].18',
    ],
    ['a duplicate separator', 'MSH|^^\\&|A|B|C|D|2026||ORU^R01|1|P|2.5', 'payload-malformed', 'MSH[0].2'],
    ['a letter as a separator', 'MSHA^~\\&AxAyA', 'payload-malformed', 'MSH[0].2'],
    ['no header', 'PID|1||5', 'payload-malformed', 'MSH'],
    ['version 3', header({ type: 'ORU^R01', version: '3.0' }), 'format-unsupported', 'MSH[0].12'],
    ['no control ID', header({ type: 'ORU^R01', id: '' }), 'field-invalid', 'MSH[0].10'],
    ['a segment without a name', `${header({ type: 'ORU^R01' })}\rxx`, 'payload-malformed', 'segment[1]'],
    ['no content', '', 'payload-empty', 'MSH'],
  ])('refuses a message with %s', (_, text, code, field) => {
    expect(() => parseMessage(Buffer.from(text, 'latin1'))).toThrow(
      expect.objectContaining({ code, detail: expect.objectContaining({ field }) }),
    )
  })
})

describe('readAcknowledgement', () => {
  it.each([
    ['a complete one', 'MSH|^~\\&|E|H|C|G|2026||ACK^R01^ACK|9|P|2.5.1\rMSA|AA|M1', 'AA'],
    ['one without a control ID of its own, date and type', 'MSH|^~\\&|E|H|C|G||||||2.3\rMSA|AA|M1', 'AA'],
    ['one of an old version', 'MSH|^~\\&|E|H|C|G|2026||ACK|9|P|2.1\rMSA|AE|M1', 'AE'],
    ['one in an unknown character set', 'MSH|^~\\&|E|H|C|G|2026||ACK|9|P|2.5||||||EBCDIC\rMSA|AA|M1|\xfc', 'AA'],
    ['one with lines of another kind', 'MSH|^~\\&|E|H\nMSA|CA|M1\nthank you\n', 'CA'],
  ])('reads %s', (_, text, code) => {
    expect(readAcknowledgement(Buffer.from(text, 'latin1'))).toMatchObject({ code, controlId: 'M1' })
  })

  it('reads the code of an error in either place', () => {
    const head = 'MSH|^~\\&|E|H|C|G|2026||ACK|9|P|2.5\rMSA|AR|M1\r'

    expect(readAcknowledgement(Buffer.from(`${head}ERR||OBX^1^5|204^x`))?.error).toBe('204')
    expect(readAcknowledgement(Buffer.from(`${head}ERR|OBX^1^5^207&x`))?.error).toBe('207')
  })

  it.each(['', 'HTTP/1.1 200 OK', header({ type: 'ORU^R01' })])('takes nothing else for one (%j)', (text) => {
    expect(readAcknowledgement(Buffer.from(text))).toBeUndefined()
  })
})

describe('acknowledge', () => {
  const ack = (options: Parameters<typeof header>[0], error?: CodedError) =>
    acknowledge(parseMessage(bytesOf([header(options)])), error, BY).map((each) => parseMessage(each))
  const codes = (answers: ReturnType<typeof ack>) => answers.map((each) => each.first('MSA')!.text(1))

  it('gives one answer in original mode, with the message’s control ID', () => {
    const [answer] = ack({ type: 'ORU^R01', id: 'X9' })

    expect(answer!.type).toBe('ACK^R01')
    expect(answer!.first('MSA')!.text(1)).toBe('AA')
    expect(answer!.first('MSA')!.text(2)).toBe('X9')
    expect(answer!.header.text(5)).toBe('CART')
  })

  it.each([
    [{ accept: 'AL', application: 'AL' }, ['CA', 'AA']],
    [{ accept: 'AL', application: 'NE' }, ['CA']],
    [{ accept: 'ER', application: 'AL' }, ['AA']],
    [{ accept: 'NE', application: 'NE' }, []],
    [{ accept: 'SU', application: 'SU' }, ['CA', 'AA']],
  ])('answers mode %j with %j', (mode, expected) => {
    expect(codes(ack({ type: 'ORU^R01', ...mode }))).toEqual(expected)
  })

  it('names segment, field and table 0357 code of an error, in the sender’s version', () => {
    const error = new CodedError('lead-unknown', { field: 'OBX[4].3' })

    const [modern] = ack({ type: 'ORU^R01' }, error)
    const [old] = ack({ type: 'ORU^R01', version: '2.3' }, error)

    expect(modern!.first('MSA')!.text(1)).toBe('AE')
    expect(modern!.first('ERR')!.raw(2)).toBe('OBX^5^3')
    expect(modern!.first('ERR')!.text(3)).toBe('103')
    expect(modern!.first('ERR')!.text(5)).toBe('lead-unknown')
    expect(old!.type).toBe('ACK^')
    expect(old!.first('ERR')!.raw(1)).toBe('OBX^5^3^103&Table value not found&HL70357')
  })

  it('rejects message types that we do not support', () => {
    expect(codes(ack({ type: 'SIU^S12' }, new CodedError('format-unsupported', { field: 'MSH[0].9' })))).toEqual(['AR'])
  })

  it('rejects a batch, and names its segment', () => {
    const [answer] = acknowledgeBroken(Buffer.from('BHS|^~\\&|A|B'), new CodedError('payload-malformed'), BY)

    const { segments } = parseMessage(answer!)
    expect(segments.map((each) => each.text(1))).toContain('AR')
    expect(segments.at(-1)!.text(2)).toBe('BHS')
    expect(segments.at(-1)!.text(5)).toBe('format-unsupported')
  })

  it('answers input that is not a message', () => {
    const [answer] = acknowledgeBroken(Buffer.from('GET / HTTP/1.1'), new CodedError('payload-malformed'), BY)

    expect(parseMessage(answer!).first('MSA')!.text(1)).toBe('AR')
  })
})
