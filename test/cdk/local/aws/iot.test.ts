import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { connectAsync } from 'mqtt'
import { describe, expect, it, onTestFinished } from 'vitest'
import { matchesFilter, parseQuery } from '../../../../cdk/local/aws/iot.ts'
import type { TemplateResource } from '../../../../cdk/local/template/intrinsics.ts'
import { clientOptions } from '../../../../cdk/local/template/plan.ts'
import { assembly, resource, startSmallStack } from '../../helpers/assembly.ts'

const SQL = "SELECT encode(*, 'base64') AS data, topic() AS topic, timestamp() AS receivedAtMs FROM 'ecg/v1/+/+/window'"

describe('the SQL of an IoT rule', () => {
  it('selects payload fields of the expected type, and leaves out others', () => {
    const fields =
      "cast(online AS Boolean) AS online, cast(level AS Decimal) AS level, regexp_substr(name, '^[a-z]+$') AS name"
    const { select } = parseQuery(`SELECT ${fields} FROM 'ecg/v1/+/+/status'`)
    const status = (payload: object) =>
      JSON.parse(JSON.stringify(select({ topic: 't', payload: Buffer.from(JSON.stringify(payload)) } as never, 0)))

    expect(status({ online: true, level: 80, name: 'abc', note: 'Jane Doe' })).toEqual({
      online: true,
      level: 80,
      name: 'abc',
    })
    expect(status({ online: 'Jane', level: 'Doe', name: 'Jane Doe' })).toEqual({})
    expect(() => select({ topic: 't', payload: Buffer.from([8, 1]) } as never, 0)).toThrow('no JSON')
  })

  it('selects payload, topic, topic segments and time', () => {
    const { from, select } = parseQuery(SQL.replace('SELECT', 'select topic(4) as device,'))

    expect(from).toBe('ecg/v1/+/+/window')
    expect(select({ topic: 'ecg/v1/t/d/window', payload: Buffer.from([0, 255]), clientId: 'c' }, 5)).toEqual({
      device: 'd',
      data: 'AP8=',
      topic: 'ecg/v1/t/d/window',
      receivedAtMs: 5,
    })
  })

  it.each([
    ["SELECT * FROM 'a'", '*'],
    ["SELECT topic() FROM 'a'", 'topic()'],
    ["SELECT clientid() AS c FROM 'a'", 'clientid()'],
    ["SELECT encode(x, 'base64') AS d FROM 'a'", "encode(x, 'base64')"],
    ["SELECT topic() AS t FROM 'a' WHERE x = 1", 'WHERE x = 1'],
    ['DELETE', 'DELETE'],
  ])('refuses %s and names the unsupported part', (sql, what) => {
    expect(() => parseQuery(sql)).toThrow(`does not know "${what}"`)
  })

  it.each([
    ['ecg/v1/+/+/window', 'ecg/v1/t/d/window', true],
    ['ecg/v1/+/+/window', 'ecg/v1/t/d/frames', false],
    ['ecg/v1/+/+/window', 'ecg/v1/t/d/window/more', false],
    ['ecg/v1/+/+/window', 'ecg/v1/t/d', false],
    ['ecg/#', 'ecg/v1/t', true],
  ])('matches the filter %s with the topic %s: %s', (filter, topic, matches) => {
    expect(matchesFilter(filter, topic)).toBe(matches)
  })
})

describe('the AWS IoT Core emulator', () => {
  const arn = (id: string) => ({ 'Fn::GetAtt': [id, 'Arn'] })
  const send = (id: string) => ({ Sqs: { QueueUrl: { Ref: id }, RoleArn: arn('Role'), UseBase64: false } })

  /** A rule that sends windows to a queue, by a role that may send to `allowed`. */
  const resources = (allowed: readonly string[], trusted = 'iot.amazonaws.com'): Record<string, TemplateResource> => ({
    Queue: resource('AWS::SQS::Queue', 'intake', {}),
    Dlq: resource('AWS::SQS::Queue', 'intake-dlq', {}),
    Role: resource('AWS::IAM::Role', 'rule-role', {
      AssumeRolePolicyDocument: {
        Statement: { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: trusted } },
      },
      Policies: [
        {
          PolicyName: 'send',
          PolicyDocument: { Statement: { Effect: 'Allow', Action: 'sqs:SendMessage', Resource: allowed.map(arn) } },
        },
      ],
    }),
    Rule: resource('AWS::IoT::TopicRule', 'windows', {
      TopicRulePayload: {
        AwsIotSqlVersion: '2016-03-23',
        Sql: SQL,
        Actions: [send('Queue')],
        ErrorAction: send('Dlq'),
      },
    }),
  })

  async function start(template: Record<string, TemplateResource>, isRefusalExpected = false) {
    const { stack, log } = await startSmallStack(await assembly(template), { isRefusalExpected })
    const device = await connectAsync(stack.mqttUrl, { protocolVersion: 4 })
    const sqs = new SQSClient(clientOptions(stack.env.AWS_ENDPOINT_URL_SQS!))
    onTestFinished(async () => {
      await device.endAsync(true)
      sqs.destroy()
    })
    const received = async (name: string) => {
      const command = new ReceiveMessageCommand({ QueueUrl: stack.queueUrls[name]!, WaitTimeSeconds: 20 })
      return JSON.parse((await sqs.send(command)).Messages![0]!.Body!)
    }
    return { stack, log, device, received }
  }

  it('accepts a window sent directly to a rule, hidden from other rules and subscribers', async () => {
    const template = resources(['Queue', 'Dlq'])
    const payload = { AwsIotSqlVersion: '2016-03-23', Sql: SQL, Actions: [send('Queue')] }
    const named = resource('AWS::IoT::TopicRule', 'windows', { RuleName: 'ecg_windows', TopicRulePayload: payload })
    const { device, received } = await start({ ...template, Rule: named })
    const heard: string[] = []
    device.on('message', (topic) => heard.push(topic))
    const subscribed = await device.subscribeAsync('$aws/rules/#', { qos: 1 }).catch(() => 'refused')
    await device.subscribeAsync('ecg/#', { qos: 1 })

    await device.publishAsync('$aws/rules/other/ecg/v1/t/d/window', Buffer.from([9]), { qos: 1 })
    await device.publishAsync('$aws/rules/ecg_windows/ecg/v1/t/d/window', Buffer.from([1, 2, 3]), { qos: 1 })

    // Of the two, only what was sent to the rule is there, under its own topic.
    expect(await received('intake')).toMatchObject({ topic: 'ecg/v1/t/d/window', data: 'AQID' })
    expect(subscribed).toBe('refused')
    expect(heard).toEqual([])
  })

  it('sends what a rule selects to its queue', async () => {
    const { device, received } = await start(resources(['Queue', 'Dlq']))

    await device.publishAsync('ecg/v1/t/d/window', Buffer.from([1, 2, 3]), { qos: 1 })

    expect(await received('intake')).toEqual({
      data: 'AQID',
      topic: 'ecg/v1/t/d/window',
      receivedAtMs: expect.closeTo(Date.now(), -5),
    })
  })

  it('passes to the error action what the role may not send', async () => {
    const { stack, device, received } = await start(resources(['Dlq']), true)

    await device.publishAsync('ecg/v1/t/d/window', Buffer.from([1, 2, 3]), { qos: 1 })

    expect(await received('intake-dlq')).toMatchObject({
      ruleName: 'windows',
      topic: 'ecg/v1/t/d/window',
      base64OriginalPayload: 'AQID',
      failures: [{ failedAction: 'SqsAction', failedResource: 'intake' }],
    })
    expect(stack.permissions.violations).toMatchObject([{ principal: 'rule-role', action: 'sqs:SendMessage' }])
  })

  it('reports a role that does not trust it', async () => {
    const { stack } = await start(resources(['Queue', 'Dlq'], 'lambda.amazonaws.com'), true)

    expect(stack.permissions.violations).toMatchObject([{ principal: 'iot.amazonaws.com', action: 'sts:AssumeRole' }])
  })

  it('publishes through its data plane what a role may publish', async () => {
    const { stack, device } = await start(
      {
        Role: resource('AWS::IAM::Role', 'role', {
          Policies: [
            {
              PolicyDocument: {
                Statement: {
                  Effect: 'Allow',
                  Action: 'iot:Publish',
                  Resource: 'arn:aws:iot:us-east-1:000000000000:topic/ecg/v1/t/*/results',
                },
              },
            },
          ],
        }),
      },
      true,
    )
    await device.subscribeAsync('ecg/v1/t/d/results', { qos: 1 })
    const heard = new Promise<string>((resolve) => device.on('message', (_topic, payload) => resolve(`${payload}`)))
    const publish = (topic: string) =>
      fetch(`${stack.env.AWS_ENDPOINT_URL_IOT_DATA_PLANE}/topics/${encodeURIComponent(topic)}?qos=1`, {
        method: 'POST',
        headers: { authorization: 'AWS4-HMAC-SHA256 Credential=Role/20260101/us-east-1/iotdata/aws4_request' },
        body: 'result',
      })

    const [allowed, denied] = [await publish('ecg/v1/t/d/results'), await publish('ecg/v1/other/d/results')]

    expect([allowed.status, denied.status]).toEqual([200, 403])
    expect(await heard).toBe('result')
  })
})
