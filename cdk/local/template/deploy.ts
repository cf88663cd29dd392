/**
 * Turns a template's resources into what the local stack runs: queues, topics and buckets in fauxqs, tables in dynalite, and plans for
 * functions, event source mappings and routes. An unknown resource or property is an error that names it.
 * @module
 */

import { CONTAINERS } from './containers.ts'
import { FUNCTIONS } from './functions.ts'
import { type Resolved, resolveIntrinsics, type Template, type TemplateResource } from './intrinsics.ts'
import { MESSAGING } from './messaging.ts'
import { type Deployment, type Makers, newPlan, type Place, type Properties } from './plan.ts'
import { SECURITY } from './security.ts'
import { SKIPPED } from './skipped.ts'
import { STORAGE } from './storage.ts'
import { WEB } from './web.ts'

/** Creates the stack's resources, or finds them where the emulators have kept them. */
export async function deploy(template: Template, place: Place): Promise<Deployment> {
  const plan = newPlan(place)
  const made = new Map<string, Promise<Resolved>>()

  /** Creates a resource once, after those that its properties refer to. */
  function lookup(logicalId: string): Promise<Resolved> {
    const known = made.get(logicalId)
    if (known !== undefined) return known
    const resource = template.Resources[logicalId]
    if (resource === undefined) throw new Error(`the template refers to ${logicalId}, which it does not have`)
    const making = make(logicalId, resource)
    made.set(logicalId, making)
    return making
  }

  async function make(logicalId: string, resource: TemplateResource): Promise<Resolved> {
    const maker = MAKERS[resource.Type]
    if (maker === undefined) {
      if (resource.Type in SKIPPED) return { ref: logicalId, attributes: { Arn: `arn:local:${logicalId}` } }
      throw new Error(`the local stack does not support ${resource.Type} (${logicalId}); see cdk/README.md`)
    }
    const given = resource.Properties ?? {}
    const unknown = Object.keys(given).find((name) => !maker.uses.includes(name) && !(name in maker.ignores))
    if (unknown !== undefined) {
      throw new Error(
        `the local stack does not support ${unknown} of ${resource.Type} (${logicalId}); see cdk/README.md`,
      )
    }
    // Ignored properties may refer to resources that are not created.
    const used = Object.fromEntries(Object.entries(given).filter(([name]) => maker.uses.includes(name)))
    const properties = (await resolveIntrinsics(used, lookup)) as Properties // an object stays one
    return maker.make(nameOf(logicalId, resource), properties, plan, { logicalId, path: pathOf(logicalId, resource) })
  }

  await Promise.all(Object.keys(template.Resources).map(lookup))
  // Only now all policies are known. A delivery that no policy allows is not started, because in AWS it would fail.
  for (const { service, source, needs, begin } of plan.deliveries) {
    if (place.permissions.refuseService(service, source, needs) === undefined) await begin()
  }
  for (const [name, { Value }] of Object.entries(template.Outputs ?? {})) {
    plan.outputs[name] = String(await resolveIntrinsics(Value, lookup))
  }
  for (const client of Object.values(plan.clients)) client.destroy()
  return plan
}

const MAKERS: Makers = { ...SECURITY, ...MESSAGING, ...STORAGE, ...FUNCTIONS, ...CONTAINERS, ...WEB }

/** Construct path within the stack: `CardiacNets/Intake/intake-dlq/Resource` → `Intake/intake-dlq`. */
function pathOf(logicalId: string, resource: TemplateResource): string {
  const path = resource.Metadata?.['aws:cdk:path']
  const parts = typeof path === 'string' ? path.split('/').filter((part) => part !== 'Resource') : []
  return parts.slice(1).join('/') || logicalId
}

/** The last part of that path. */
function nameOf(logicalId: string, resource: TemplateResource): string {
  return pathOf(logicalId, resource).split('/').at(-1)!
}
