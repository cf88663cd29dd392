/**
 * The console: one page, everything by the public API.
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

// Only as built: Vite's own server would be hidden behind what was kept.
if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  // Without it the page works as well, but does not open without a network.
  navigator.serviceWorker.register('/sw.js').catch(() => {})
}
