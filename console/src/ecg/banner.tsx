/**
 * Patient, device and source of the ECG.
 * @module
 */
import { t } from '../i18n/index.ts'
import { Icon } from '../ui/parts.tsx'
import type { Subject } from './subject.ts'

export function Banner({ subject }: { readonly subject: Subject | undefined }) {
  if (subject === undefined) return <p class="banner" aria-busy="true" />
  const { device, patient, source } = subject
  return (
    <p class="banner">
      {device !== undefined && <span class="device">{device}</span>}
      {patient !== undefined ? (
        <b>{patient}</b>
      ) : source === 'fhir' ? (
        <span>{t('ecg.fromEhr')}</span>
      ) : (
        <span class="unidentified">
          <Icon name="warning" /> {t('ecg.unidentified')}
        </span>
      )}
    </p>
  )
}
