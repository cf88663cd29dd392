import { describe, expect, it } from 'vitest'
import { CodedError } from '../../../shared/errors.ts'
import { acknowledge, acknowledgeBroken } from '../../../streams/hl7/acknowledge.ts'
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

  it('answers input that is not a message', () => {
    const [answer] = acknowledgeBroken(Buffer.from('GET / HTTP/1.1'), new CodedError('payload-malformed'), BY)

    expect(parseMessage(answer!).first('MSA')!.text(1)).toBe('AR')
  })
})
