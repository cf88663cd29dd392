/**
 * Earlier ECGs of the same device, for display beside or below this one. If the patient is known, ECGs of this patient come first, and all
 * others are labelled as such.
 * @module
 */
import { type Signal, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api, wanted } from '../api/client.ts'
import type { Summary } from '../api/events.ts'
import { t } from '../i18n/index.ts'
import { go } from '../router.ts'
import { moment } from '../ui/format.ts'
import { Choice, Icon } from '../ui/parts.tsx'
import { isSamePatient, type Subject } from './subject.ts'

export interface EarlierProps {
  readonly id: string
  readonly subject: Subject | undefined
  readonly beside: string | undefined
  readonly isSide: Signal<boolean>
}

export function Earlier({ id, subject, beside, isSide }: EarlierProps) {
  const device = subject?.device
  const earlier = useSignal<readonly Summary[]>([])
  useEffect(() => {
    earlier.value = []
    if (device === undefined) return
    wanted(api.GET('/v1/ecgs', { params: { query: { device, limit: 30 } } })).then(
      ({ items }) => {
        earlier.value = items.filter(({ ecgId }) => ecgId !== id)
      },
      () => {},
    )
  }, [id, device])
  if (subject === undefined || earlier.value.length === 0) return null
  const [same, others] = [true, false].map((isSame) =>
    earlier.value.filter(({ startedAt }) => isSamePatient(subject, startedAt) === isSame),
  )
  const options = (items: readonly Summary[] = []) =>
    items.map(({ ecgId, startedAt }) => (
      <option key={ecgId} value={ecgId}>
        {moment(startedAt)}
      </option>
    ))
  const isOther = subject.patient !== undefined && others?.some(({ ecgId }) => ecgId === beside)
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
          {subject.patient === undefined ? (
            options(others)
          ) : (
            <>
              {same?.length !== 0 && <optgroup label={t('ecg.samePatient')}>{options(same)}</optgroup>}
              {others?.length !== 0 && <optgroup label={t('ecg.otherPatient')}>{options(others)}</optgroup>}
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
