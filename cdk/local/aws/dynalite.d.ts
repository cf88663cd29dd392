/** The part of dynalite (no types of its own) that the local stack uses. */
declare module 'dynalite' {
  import type { Server } from 'node:http'
  export default function dynalite(options: { readonly path?: string; readonly createTableMs?: number }): Server
}
