/**
 * Resources in memory, with their versions. Every change can be undone, which makes transactions possible.
 * @module
 */
import { randomUUID } from 'node:crypto'
import { FhirError, isObject, type Resource, references, referenceTo, type StoredResource } from './resource.ts'

/** Versions of a resource, oldest first; `undefined` is a deletion. */
type Versions = (StoredResource | undefined)[]

export class Store {
  readonly #types = new Map<string, Map<string, Versions>>()
  /** Type, system and value of an identifier → ids of resources that have or had it. Makes conditional creates fast. */
  readonly #named = new Map<string, Set<string>>()
  /** Milliseconds of the newest `lastUpdated`. No two changes share one, so that a poll by time misses none. */
  #lastMs = 0

  /**
   * The newest version.
   * @throws FhirError 404, 410
   */
  read(type: string, id: string): StoredResource {
    const versions = this.#types.get(type)?.get(id)
    if (versions === undefined) throw new FhirError(404, 'not-found', `there is no ${type}/${id}`)
    const newest = versions.at(-1)
    if (newest === undefined) throw new FhirError(410, 'deleted', `${type}/${id} was deleted`)
    return newest
  }

  /**
   * One version.
   * @throws FhirError 404
   */
  readVersion(type: string, id: string, versionId: string): StoredResource {
    const version = this.#types
      .get(type)
      ?.get(id)
      ?.find((each) => each?.meta.versionId === versionId)
    if (version === undefined) throw new FhirError(404, 'not-found', `there is no such version of ${type}/${id}`)
    return version
  }

  exists(type: string, id: string): boolean {
    return this.#types.get(type)?.get(id)?.at(-1) !== undefined
  }

  /** Every resource of a type, in the order of creation. */
  *all(type: string): Generator<StoredResource> {
    for (const versions of this.#types.get(type)?.values() ?? []) {
      const newest = versions.at(-1)
      if (newest !== undefined) yield newest
    }
  }

  /** Resources that a search of a type must examine: few when it names an identifier, else all. */
  *candidates(type: string, query: URLSearchParams): Generator<StoredResource> {
    const identifier = query.get('identifier')
    if (!identifier?.includes('|') || identifier.includes(',')) yield* this.all(type)
    else {
      const ids = this.#named.get(`${type} ${identifier}`) ?? []
      for (const id of ids) if (this.exists(type, id)) yield this.read(type, id)
    }
  }

  newId(): string {
    return randomUUID()
  }

  /**
   * Applies a change completely or not at all. The change writes through its `Writer`. References are checked at the end, so that resources
   * may refer to each other.
   * @returns the written resources, in order
   */
  change(change: (writer: Writer) => void): readonly StoredResource[] {
    const undo: (() => void)[] = []
    const written: StoredResource[] = []
    const writer: Writer = {
      put: (resource) => {
        const stored = this.#push(resource, undo)
        written.push(stored)
        return stored
      },
      remove: (type, id) => {
        const versions = this.#types.get(type)?.get(id)
        if (versions?.at(-1) === undefined) return
        versions.push(undefined)
        undo.push(() => versions.pop())
      },
    }
    try {
      change(writer)
      for (const resource of written) this.#checkReferences(resource)
      return written
    } catch (error) {
      for (const step of undo.reverse()) step()
      throw error
    }
  }

  #push(resource: Resource & { readonly id: string }, undo: (() => void)[]): StoredResource {
    const type = this.#types.get(resource.resourceType) ?? new Map<string, Versions>()
    this.#types.set(resource.resourceType, type)
    const versions = type.get(resource.id) ?? []
    if (versions.length === 0) {
      type.set(resource.id, versions)
      undo.push(() => type.delete(resource.id))
    }
    this.#lastMs = Math.max(Date.now(), this.#lastMs + 1)
    const stored: StoredResource = {
      ...resource,
      meta: {
        ...resource.meta,
        versionId: String(versions.length + 1),
        lastUpdated: new Date(this.#lastMs).toISOString(),
      },
    }
    versions.push(stored)
    undo.push(() => versions.pop())
    for (const { system, value } of identifiersOf(stored)) {
      const name = `${stored.resourceType} ${system}|${value}`
      this.#named.set(name, (this.#named.get(name) ?? new Set()).add(stored.id))
    }
    return stored
  }

  /** As strict as most EHRs: a reference to this server must exist. */
  #checkReferences(resource: StoredResource): void {
    for (const reference of references(resource)) {
      const [, type, id] = /^([A-Z]\w+)\/([A-Za-z0-9\-.]{1,64})(?:\/_history\/\w+)?$/.exec(reference) ?? []
      if (type !== undefined && id !== undefined && !this.exists(type, id)) {
        throw new FhirError(422, 'not-found', `${referenceTo(resource)} refers to ${reference}, which is not here`)
      }
      if (reference.startsWith('urn:uuid:')) throw new FhirError(422, 'invalid', 'a urn:uuid leads out of its Bundle')
    }
  }
}

function identifiersOf({ identifier }: StoredResource): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(identifier) ? identifier.filter(isObject) : []
}

export interface Writer {
  /** Creates a resource or makes a new version of it. */
  put(resource: Resource & { readonly id: string }): StoredResource
  remove(type: string, id: string): void
}
