import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Match, type Template } from 'aws-cdk-lib/assertions'
import { beforeAll, describe, expect, it } from 'vitest'
import { QUEUE_AGES } from '../../../cdk/constructs/observability.ts'
import { exampleSites } from '../../../cdk/site.ts'
import { STACK_NAME } from '../../../cdk/stack-name.ts'
import { REDRIVABLE } from '../../../functions/cli/redrive.ts'
import { SiteConfig } from '../../../shared/config/site.ts'
import { RUNBOOK, THRESHOLDS } from '../../../shared/observe/alarms.ts'
import { METRICS, type Metric, QUEUE_HANDLERS } from '../../../shared/observe/metrics.ts'
import { exampleTemplate, templateOf } from '../helpers/templates.ts'

let hospital: Template
let plain: Template

beforeAll(() => {
  hospital = exampleTemplate('hospital')
  plain = templateOf(SiteConfig.parse({ deployment: { synthesis: 'off' } }))
}, 300_000)

/** What is read of CloudFormation's. */
interface AlarmProperties {
  readonly AlarmActions: unknown
  readonly OKActions: unknown
  readonly AlarmDescription: string
  readonly Threshold: number
  readonly Period?: number
  readonly EvaluationPeriods: number
  readonly Metrics?: readonly { readonly MetricStat?: { readonly Period: number } }[]
}

interface Alarm {
  readonly id: string
  readonly path: string
  readonly properties: AlarmProperties
}

function alarmsOf(template: Template): readonly Alarm[] {
  return Object.values(template.findResources('AWS::CloudWatch::Alarm')).map(({ Metadata, Properties }) => {
    const path: string = Metadata['aws:cdk:path'].replace(/\/Resource$/, '')
    return {
      id: path.split('/').at(-1)!,
      path: path.replace(`${STACK_NAME}/Observability/`, ''),
      properties: Properties,
    }
  })
}

describe('alarms', () => {
  it('match the reviewed list for a hospital with two adapters', () => {
    const paths = alarmsOf(hospital).map(({ path }) => path)

    expect(paths.sort()).toMatchSnapshot()
  })

  it.each(['hospital', 'plain'])('notify the topic when they start and end (%s)', (which) => {
    const template = which === 'hospital' ? hospital : plain
    const [topic] = Object.keys(template.findResources('AWS::SNS::Topic')).filter((id) => id.includes('alarms'))

    for (const { path, properties } of alarmsOf(template)) {
      expect(properties.AlarmActions, path).toEqual([{ Ref: topic }])
      expect(properties.OKActions, path).toEqual([{ Ref: topic }])
      expect(properties.AlarmDescription, path).toMatch(/ See docs\/operator-runbook\.md(#|, ")[a-z-]+"?\.?$/)
    }
  })

  it('stay within CloudWatch’s limits of metrics and periods', () => {
    for (const { path, properties } of alarmsOf(hospital)) {
      const { Metrics = [], Period = 0, EvaluationPeriods } = properties
      const periods = Metrics.map(({ MetricStat }) => MetricStat?.Period ?? 0)
      expect(Metrics.length, path).toBeLessThanOrEqual(10)
      expect(Math.max(Period, ...periods) * EvaluationPeriods, path).toBeLessThanOrEqual(86_400)
    }
  })

  it('exist for adapter, EHR and cines only when the site has these', () => {
    const ids = new Set(alarmsOf(plain).map(({ id }) => id))

    for (const id of ['adapter-silent', 'adapter-journal', 'device-refusals', 'gpu-wait', 'ehr-polls-failing']) {
      expect(ids).not.toContain(id)
    }
  })

  it('include an adapter that is silent', () => {
    hospital.hasResourceProperties('AWS::CloudWatch::Alarm', {
      MetricName: METRICS.brokerConnected.name,
      Dimensions: [
        { Name: 'adapter', Value: 'ecg-wards' },
        { Name: 'service', Value: 'streams-mqtt' },
      ],
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 12, // connections
      TreatMissingData: 'breaching',
    })
  })

  it('derive the daily cost limit from the expected number of devices', () => {
    const { properties } = alarmsOf(hospital).find(({ id }) => id === 'cost')!

    // 500 devices, 8640 windows a day each, 10 USD a million, and a quarter more.
    expect(properties.Threshold).toBeCloseTo(54)
  })

  it('are mailed to the site’s address, with a key that CloudWatch may use', () => {
    hospital.hasResourceProperties('AWS::SNS::Subscription', {
      Protocol: 'email',
      Endpoint: 'ecg-operations@hospital.example',
    })
    hospital.hasResourceProperties('AWS::KMS::Key', {
      EnableKeyRotation: true,
      KeyPolicy: Match.objectLike({
        Statement: Match.arrayWith([
          Match.objectLike({
            Principal: { Service: Match.arrayWith(['cloudwatch.amazonaws.com']) },
            Action: ['kms:Decrypt', 'kms:GenerateDataKey*'],
          }),
        ]),
      }),
    })
    expect(
      Object.values(plain.findResources('AWS::SNS::Subscription')).map(({ Properties }) => Properties.Protocol),
    ).toEqual(['sqs'])
  })
})

describe('the dashboard', () => {
  it('shows every metric by name', () => {
    const body = JSON.stringify(Object.values(hospital.findResources('AWS::CloudWatch::Dashboard')))

    const missing = Object.values(METRICS).filter(({ name }) => !body.includes(name))

    expect(missing).toEqual([])
  })
})

describe('the runbook', () => {
  const text = readFileSync(join(resolve(import.meta.dirname, '../../..'), RUNBOOK), 'utf8')
  const [, , alarmPart = ''] = /^## (Alarms)\n(.*?)(?=^## |$(?![\s\S]))/ms.exec(text) ?? []
  const sections = new Map(
    alarmPart
      .split(/^### /m)
      .slice(1)
      .map((section) => [section.split('\n')[0]!.trim(), section] as const),
  )

  it('has one section per alarm', () => {
    const others = exampleSites().filter((site) => site !== 'hospital')
    const templates = [hospital, plain, ...others.map(exampleTemplate)]
    const ids = new Set(templates.flatMap(alarmsOf).map(({ id }) => id))

    expect([...sections.keys()].sort()).toEqual([...ids].sort())
  }, 300_000)

  it('has alarm, impact, check and numbered fixes in each section', () => {
    for (const [heading, section] of sections) {
      for (const part of ['**Alarm**: ', '**Impact**: ', '**Check**', '**Fix**\n1. '])
        expect(section, heading).toContain(part)
    }
  })

  it('gives the code’s reason for each threshold and queue limit', () => {
    for (const [id, { why }] of Object.entries(THRESHOLDS)) {
      if (id !== 'queue-age') expect(sections.get(id), id).toContain(why)
    }
    for (const [queue, { why }] of Object.entries(QUEUE_AGES)) {
      const row = sections
        .get('queue-age')!
        .split('\n')
        .find((line) => line.includes(`\`${queue}\``))
      expect(row, queue).toContain(why)
    }
  })

  it('mentions `redrive` only for queues that the command supports', () => {
    expect(Object.keys(REDRIVABLE).sort()).toEqual(Object.keys(QUEUE_AGES).sort())
  })

  it('lists every metric with its unit, services and meaning', () => {
    const rows = Object.values<Metric>(METRICS).map(
      ({ name, unit, from, by = '', meaning }) =>
        `| \`${name}\` | ${unit} | ${from === QUEUE_HANDLERS ? 'queue handlers' : from.join(', ')} | ${by} | ${meaning} |`,
    )

    expect(rows.filter((row) => !text.includes(row))).toEqual([])
    expect(text).toContain(
      '*Queue handlers* are `fhir-intake`, `preprocess`, `publish`, `report`, `screen`, `synthesis-dispatch` and `upkeep`.',
    )
    expect(QUEUE_HANDLERS).toHaveLength(7)
  })
})
