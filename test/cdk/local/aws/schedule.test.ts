import { describe, expect, it } from 'vitest'
import { rateMs, startSchedule } from '../../../../cdk/local/aws/schedule.ts'
import { startTestAws } from '../../../helpers/aws.ts'

describe('the schedule emulator', () => {
  it.each([
    ['rate(1 minute)', 60_000],
    ['rate(5 minutes)', 300_000],
    ['rate(2 hours)', 7_200_000],
    ['rate(1 day)', 86_400_000],
  ])('reads %s', (expression, ms) => {
    expect(rateMs(expression)).toBe(ms)
  })

  it('refuses schedules other than rates', () => {
    expect(() => rateMs('cron(0 3 * * ? *)')).toThrow('schedules of a rate only')
  })

  it('sends its message repeatedly until it is stopped', async () => {
    const aws = await startTestAws()
    const schedule = startSchedule(aws.sqs, { everyMs: 5, queueUrl: aws.intakeUrl, body: 'look' }, () => {})
    const received: unknown[] = []
    while (received.length < 2) received.push(...(await aws.receive(aws.intakeUrl)).map(({ Body }) => Body))

    await schedule.stop()

    expect(new Set(received)).toEqual(new Set(['look']))
    await aws.stop()
  })
})
