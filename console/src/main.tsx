/**
 * The console: a single page that uses only the public API.
 * @module
 */
import { render } from 'preact'
import './styles/base.css'
import './styles/shell.css'
import './styles/worklist.css'
import './styles/ecg.css'
import './styles/result.css'
import './styles/live.css'
import './styles/operations.css'
import { App } from './app.tsx'
import { prepareRenderer } from './ecg/trace-renderer.ts'
import { route } from './router.ts'

// The worker starts while the page asks for the ECG.
if (route.value.view === 'ecg') prepareRenderer()
render(<App />, document.getElementById('app')!)

/** What is not needed for the first view starts this late, ms. */
const LATER_MS = 2000

// Production only: in development the cache would hide Vite's server.
if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  // Without the service worker the page works, but cannot open offline.
  setTimeout(() => navigator.serviceWorker.register('/sw.js').catch(() => {}), LATER_MS)
}
