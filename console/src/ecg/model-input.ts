/**
 * The window as the network was shown it: filtered, each lead stretched to its own range. It has no voltage and no ST level that anybody could read.
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

/** Fetched when it is first looked at. */
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

/** As a recording whose unit is a lead's own range instead of the millivolt. Limb leads that the network was not shown are not calculated. */
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
