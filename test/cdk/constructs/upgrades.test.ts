import type { Template } from 'aws-cdk-lib/assertions'
import { beforeAll, describe, expect, it } from 'vitest'
import type { AppOptions } from '../../../cdk/app.ts'
import { functionFolder } from '../helpers/assembly.ts'
import { type Bundles, bundlesIn, freshTemplate, WITH_EHR } from '../helpers/templates.ts'

const FUNCTIONS = 8

let bundles: Bundles
let template: Template

beforeAll(async () => {
  bundles = bundlesIn(await functionFolder('export const handler = async () => {}'))
  template = synthesized()
})

const synthesized = (options: AppOptions = {}) => freshTemplate({ site: WITH_EHR, bundles, ...options })

/** Whatever calls a function, with what it calls. */
function calls(of: Template): readonly string[] {
  const named = (type: string, property: string) =>
    Object.values(of.findResources(type)).map(({ Properties }) => JSON.stringify(Properties[property]))
  return [
    ...named('AWS::Lambda::EventSourceMapping', 'FunctionName'),
    ...named('AWS::ApiGatewayV2::Integration', 'IntegrationUri'),
    ...named('AWS::Lambda::Permission', 'FunctionName'),
  ]
}

describe('a function', () => {
  it('is called through its alias only', () => {
    const aliases = Object.keys(template.findResources('AWS::Lambda::Alias', { Properties: { Name: 'live' } }))

    const called = calls(template)

    expect(aliases).toHaveLength(FUNCTIONS)
    expect(called.length).toBeGreaterThan(FUNCTIONS)
    for (const call of called) expect(aliases).toContain(/"Ref":"(\w+)"/.exec(call)?.[1])
    for (const url of Object.values(template.findResources('AWS::Lambda::Url'))) {
      expect(url.Properties.Qualifier).toBe('live')
    }
  })

  it('keeps former versions for a rollback', () => {
    template.resourceCountIs('AWS::Lambda::Version', FUNCTIONS)
    template.allResources('AWS::Lambda::Version', { DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' })
  })

  it('is upgraded by a canary and rolled back by its alarm', () => {
    const alarms = template.findResources('AWS::CloudWatch::Alarm')
    const groups = template.findResources('AWS::CodeDeploy::DeploymentGroup')

    const updates = Object.values(template.findResources('AWS::Lambda::Alias')).map(({ UpdatePolicy }) => UpdatePolicy)

    expect(updates).toHaveLength(FUNCTIONS)
    for (const { CodeDeployLambdaAliasUpdate: update } of updates) {
      const { Properties } = groups[update.DeploymentGroupName.Ref]!
      expect(Properties.DeploymentConfigName).toBe('CodeDeployDefault.LambdaCanary10Percent5Minutes')
      expect(Properties.AutoRollbackConfiguration.Events).toContain('DEPLOYMENT_STOP_ON_ALARM')
      const [{ Name }] = Properties.AlarmConfiguration.Alarms
      expect(alarms[Name.Ref]!.Properties.Threshold).toBe(3)
    }
  })

  it('is monitored by its errors and by messages that failed without one', () => {
    const watched = (name: string) => {
      const [alarm] = Object.entries(template.findResources('AWS::CloudWatch::Alarm')).filter(([id]) =>
        id.includes(name),
      )
      const metrics: { MetricStat?: { Metric: { MetricName: string } } }[] = alarm![1].Properties.Metrics
      return metrics.flatMap(({ MetricStat }) => MetricStat?.Metric.MetricName ?? [])
    }

    expect(watched('screenupgrade')).toEqual(['Errors', 'MessagesFailed'])
    expect(watched('apiupgrade')).toEqual(['Errors', '5xx'])
  })
})

/** The logical ids of the functions' versions, by name of the function: another id is another version. */
function versions(of: Template): Readonly<Record<string, string>> {
  const functions = of.findResources('AWS::Lambda::Function')
  return Object.fromEntries(
    Object.entries(of.findResources('AWS::Lambda::Version')).map(([id, { Properties }]) => {
      const { Environment } = functions[Properties.FunctionName.Ref]!.Properties
      return [Environment.Variables.POWERTOOLS_SERVICE_NAME, id]
    }),
  )
}

describe('a version of a function', () => {
  it('is unchanged after a repeated synthesis', () => {
    expect(versions(synthesized())).toEqual(versions(template))
  })

  it('changes with its function’s code, and only then', async () => {
    const report = await functionFolder('export const handler = async () => "other"')

    const { report: changed, ...others } = versions(synthesized({ bundles: { ...bundles, report } }))

    const { report: former, ...unchanged } = versions(template)
    expect(changed).not.toBe(former)
    expect(others).toEqual(unchanged)
  })
})
