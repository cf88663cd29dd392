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
