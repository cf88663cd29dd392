import { describe, expect, it } from 'vitest'
import { type Lookup, resolveIntrinsics } from '../../../../cdk/local/template/intrinsics.ts'

const lookup: Lookup = async (logicalId) => ({
  ref: `ref-of-${logicalId}`,
  attributes: { Arn: `arn-of-${logicalId}` },
})

// biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of Fn::Sub
const SUBSTITUTED = 'x-${AWS::AccountId}-${Queue.Arn}-${Queue}-${!Kept}'
// biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of Fn::Sub
const TWICE = '${a}/${a}'

describe('intrinsic functions', () => {
  it.each([
    ['Ref', { Ref: 'Queue' }, 'ref-of-Queue'],
    ['a pseudo parameter', { Ref: 'AWS::Region' }, 'us-east-1'],
    ['Fn::GetAtt', { 'Fn::GetAtt': ['Queue', 'Arn'] }, 'arn-of-Queue'],
    ['Fn::GetAtt with a dot', { 'Fn::GetAtt': 'Queue.Arn' }, 'arn-of-Queue'],
    ['Fn::Join', { 'Fn::Join': [':', ['arn', { Ref: 'AWS::Partition' }, 'sns']] }, 'arn:aws:sns'],
    ['Fn::Select', { 'Fn::Select': ['1', ['a', { Ref: 'B' }]] }, 'ref-of-B'],
    ['Fn::Split', { 'Fn::Split': ['-', { Ref: 'B' }] }, ['ref', 'of', 'B']],
    ['Fn::Sub', { 'Fn::Sub': SUBSTITUTED }, 'x-000000000000-arn-of-Queue-ref-of-Queue-$' + '{Kept}'],
    ['Fn::Sub with variables', { 'Fn::Sub': [TWICE, { a: { Ref: 'Q' } }] }, 'ref-of-Q/ref-of-Q'],
    ['nested values', { a: [{ b: { Ref: 'Queue' } }, 1, null] }, { a: [{ b: 'ref-of-Queue' }, 1, null] }],
  ])('resolve %s', async (_name, value, expected) => {
    expect(await resolveIntrinsics(value, lookup)).toEqual(expected)
  })

  it('leave a similar key beside other keys alone', async () => {
    const value = { Ref: 'Queue', Other: 1 }

    expect(await resolveIntrinsics(value, lookup)).toEqual(value)
  })

  it('are refused by name when unknown', async () => {
    const resolving = resolveIntrinsics({ 'Fn::ImportValue': 'x' }, lookup)

    await expect(resolving).rejects.toThrow('Fn::ImportValue')
  })

  it('are refused by the name of an unknown attribute', async () => {
    const resolving = resolveIntrinsics({ 'Fn::GetAtt': ['Queue', 'Colour'] }, lookup)

    await expect(resolving).rejects.toThrow('Queue.Colour')
  })
})
