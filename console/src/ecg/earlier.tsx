/**
 * Other ECGs for display beside or below this one: those of the patient, of any device, and those of the device, which are labelled as of
 * another or an unknown patient if the patient is known.
 * @module
 */
import { type Signal, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { Summary } from '../api/events.ts'
import { t } from '../i18n/index.ts'
import { go } from '../router.ts'
import { moment } from '../ui/format.ts'
import { Choice, Icon } from '../ui/parts.tsx'
import { ecgsOf, type Subject } from './subject.ts'

export interface EarlierProps {
  readonly id: string
  readonly subject: Subject | undefined
  readonly beside: string | undefined
  readonly isSide: Signal<boolean>
}

const COUNT = 30

export function Earlier({ id, subject, beside, isSide }: EarlierProps) {
  const { device, patient } = subject ?? {}
  const [same, others] = [useSignal<readonly Summary[]>([]), useSignal<readonly Summary[]>([])]
  useEffect(() => {
    same.value = others.value = []
    if (device === undefined) return
    const ofPatient = patient === undefined ? [] : ecgsOf({ samePatientAs: id, limit: COUNT })
    Promise.all([ofPatient, ecgsOf({ device, limit: COUNT })]).then(
      ([patients, devices]) => {
        const known = new Set([id, ...patients.map(({ ecgId }) => ecgId)])
        same.value = patients.filter(({ ecgId }) => ecgId !== id)
        others.value = devices.filter(({ ecgId }) => !known.has(ecgId))
      },
      () => {},
    )
  }, [id, device, patient])
  if (same.value.length + others.value.length === 0) return null
  const options = (items: readonly Summary[]) =>
    items.map(({ ecgId, startedAt, device: of }) => (
      <option key={ecgId} value={ecgId}>
        {of === device ? moment(startedAt) : `${moment(startedAt)} · ${of}`}
      </option>
    ))
  const isOther = patient !== undefined && others.value.some(({ ecgId }) => ecgId === beside)
  return (
    <>
      <label class="compare">
        <Icon name="compare" />
        <span class="sr">{t('ecg.compare')}</span>
        <select
          class="earlier"
          value={beside ?? ''}
          title={t('ecg.compare')}
          onChange={({ currentTarget: { value } }) =>
            go({ view: 'ecg', id, ...(value === '' ? {} : { beside: value }) })
          }
        >
          <option value="">{t('ecg.compareNone')}</option>
          {patient === undefined ? (
            options(others.value)
          ) : (
            <>
              {same.value.length > 0 && <optgroup label={t('ecg.samePatient')}>{options(same.value)}</optgroup>}
              {others.value.length > 0 && <optgroup label={t('ecg.otherPatient')}>{options(others.value)}</optgroup>}
            </>
          )}
        </select>
      </label>
      {beside !== undefined && (
        <Choice
          label={t('ecg.compare')}
          options={[
            ['over', t('ecg.overlay')],
            ['side', t('ecg.side')],
          ]}
          value={isSide.value ? 'side' : 'over'}
          onChange={(value) => (isSide.value = value === 'side')}
        />
      )}
      {isOther && (
        <span class="unidentified" role="status">
          <Icon name="warning" /> {t('ecg.otherPatient')}
        </span>
      )}
    </>
  )
}
