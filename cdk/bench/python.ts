/**
 * Paths of the Python references, after `uv sync`.
 * @module
 */
import { join, resolve } from 'node:path'

export const TRAINING = resolve(import.meta.dirname, '../../models/training')
export const PYTHON = join(TRAINING, process.platform === 'win32' ? '.venv/Scripts/python.exe' : '.venv/bin/python')
