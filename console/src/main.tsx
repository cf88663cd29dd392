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

render(<App />, document.getElementById('app')!)

// Production only: in development the cache would hide Vite's server.
if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  // Without the service worker the page works, but cannot open offline.
  navigator.serviceWorker.register('/sw.js').catch(() => {})
}
