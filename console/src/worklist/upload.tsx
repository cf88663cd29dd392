/**
 * Upload of ECG files, by a button or by dropping them anywhere on the page. A refusal is explained in words.
 * @module
 */
import { signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import type { ApiError } from '../../../streams/client/problem.ts'
import { api, toApiError, wanted } from '../api/client.ts'
import { may } from '../auth/session.ts'
import { t } from '../i18n/index.ts'
import { go } from '../router.ts'
import { Icon, wordsOf } from '../ui/parts.tsx'

interface Upload {
  readonly name: string
  readonly state: 'sending' | 'taken' | 'refused'
  readonly ecgId?: string
  readonly error?: ApiError
}

const uploads = signal<readonly Upload[]>([])
const isDragging = signal(false)

/** Files that differ only in their extension are one recording (WFDB: `.hea` and `.dat`). */
function groups(files: readonly File[]): readonly (readonly File[])[] {
  const stem = ({ name }: File) => name.replace(/\.(hea|dat|mat)$/i, '')
  return [...Map.groupBy(files, (file) => (/\.(hea|dat|mat)$/i.test(file.name) ? stem(file) : file.name)).values()]
}

async function upload(files: readonly File[]): Promise<void> {
  const all = groups(files)
  uploads.value = []
  const taken: string[] = []
  for (const group of all) {
    const name = group.map((file) => file.name).join(' + ')
    const note = (change: Omit<Upload, 'name'>) => {
      uploads.value = [...uploads.peek().filter((each) => each.name !== name), { name, ...change }]
    }
    note({ state: 'sending' })
    try {
      const form = new FormData()
      for (const file of group) form.append('file', file, file.name)
      // The form carries the files; in the document a file has the type string.
      const body = { file: [] }
      const { ecgId } = await wanted(api.POST('/v1/ecgs', { body, bodySerializer: () => form }))
      taken.push(ecgId)
      note({ state: 'taken', ecgId })
    } catch (error) {
      note({ state: 'refused', error: toApiError(error) })
    }
  }
  if (all.length === 1 && taken.length === 1) {
    uploads.value = []
    go({ view: 'ecg', id: taken[0]! })
  }
}

export function UploadButton() {
  const input = useRef<HTMLInputElement>(null)
  if (!may('ecg:write')) return null
  return (
    <>
      <button type="button" class="primary push" onClick={() => input.current?.click()}>
        <Icon name="upload" /> {t('upload.button')}
      </button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label={t('upload.button')}
        onChange={({ currentTarget }) => {
          const files = [...(currentTarget.files ?? [])]
          currentTarget.value = ''
          if (files.length > 0) void upload(files)
        }}
      />
    </>
  )
}

/** Accepts files that are dropped anywhere, and shows their status. */
export function DropZone() {
  useEffect(() => {
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false
    const over = (event: DragEvent) => {
      if (!hasFiles(event) || !may('ecg:write')) return
      event.preventDefault()
      isDragging.value = true
    }
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) isDragging.value = false
    }
    const drop = (event: DragEvent) => {
      isDragging.value = false
      if (!hasFiles(event) || !may('ecg:write')) return
      event.preventDefault()
      void upload([...(event.dataTransfer?.files ?? [])])
    }
    addEventListener('dragover', over)
    addEventListener('dragleave', leave)
    addEventListener('drop', drop)
    return () => {
      removeEventListener('dragover', over)
      removeEventListener('dragleave', leave)
      removeEventListener('drop', drop)
    }
  }, [])
  return (
    <>
      {isDragging.value && (
        <div class="drop">
          <p>{t('upload.drop')}</p>
        </div>
      )}
      {uploads.value.length > 0 && (
        <div class="uploads" role="status">
          <header>
            <b>{t('upload.title')}</b>
            <button type="button" class="quiet" aria-label={t('action.close')} onClick={() => (uploads.value = [])}>
              <Icon name="close" />
            </button>
          </header>
          <ul>
            {uploads.value.map(({ name, state, ecgId, error }) => (
              <li key={name} class={state}>
                <span class="name">{name}</span>
                {state === 'sending' && <span>{t('upload.sending')}</span>}
                {ecgId !== undefined && <a href={`#/ecg/${ecgId}`}>{t('worklist.open')}</a>}
                {error !== undefined && <span class="why">{wordsOf(error)}</span>}
              </li>
            ))}
          </ul>
        </div>
      )}
    </>
  )
}
