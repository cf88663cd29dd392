/**
 * The headers that the console's files go out with, the same from the local server and from CloudFront.
 * @module
 */

/** The page's own files, the API of the same address, and the site's identity provider. No inline script or style, nothing from elsewhere. */
export function consolePolicy(connect: readonly string[] = []): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    ["connect-src 'self'", ...connect].join(' '),
    "worker-src 'self'",
    "manifest-src 'self'",
    "font-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "object-src 'none'",
  ].join('; ')
}

/** Beside the policy. */
export const CONSOLE_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
}

/** How long a browser may keep a file without asking: what the build names by its content for ever, all else (`index.html`, `sw.js`) not at all. */
export const CONSOLE_CACHING = { assets: 'public, max-age=31536000, immutable', page: 'no-cache' } as const
