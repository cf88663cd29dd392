/**
 * The input window of the network: filtered, each lead scaled to its own range. Voltages and ST levels cannot be read from it.
 * @module
 */
import { type Signal, useSignal } from '@preact/signals'
import { useEffect, useMemo } from 'preact/hooks'
import type { Schemas } from '../../../streams/client/index.ts'
import type { ApiError } from '../../../streams/client/problem.ts'
import { api, toApiError, wanted } from '../api/client.ts'
import { add, newRecording, type Recording } from './recording.ts'

interface ModelInput {
  readonly recording: Signal<Recording | undefined>
  readonly error: Signal<ApiError | undefined>
}

/** Loads the input when it is first shown. */
export function useModelInput(id: string, isWanted: boolean): ModelInput {
  const recording = useSignal<Recording | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)
  useEffect(() => {
    if (!isWanted || recording.peek() !== undefined) return
    error.value = undefined
    wanted(api.GET('/v1/ecgs/{id}/model-input', { params: { path: { id } } })).then(
      (input) => {
        recording.value = recordingOf(input)
      },
      (thrown: unknown) => {
        error.value = toApiError(thrown)
      },
    )
  }, [id, isWanted])
  return useMemo(() => ({ recording, error }), [])
}

/**
 * Converts the input to a recording with each lead's own range as the unit instead of the millivolt. Limb leads that the network did not
 * receive are not derived.
 */
function recordingOf({ rateHz, steps, leads }: Schemas['ModelInput']): Recording {
  const samples = leads[0]?.samples.length ?? 0
  const piece = {
    ecgId: '',
    notice: '',
    version: 1,
    rateHz,
    samples,
    firstSample: 0,
    leads: leads.map(({ name, samples: codes }) => ({ name, gainUv: 1000 / steps, samples: codes })),
  }
  const whole = newRecording(piece)
  const shown = new Map([...whole.traces].filter(([, { isDerived }]) => !isDerived))
  const recording = { ...whole, traces: shown }
  add(recording, piece)
  return recording
}
