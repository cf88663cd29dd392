/**
 * Plays both views of a cine at the heart rate, with a slider at the same phase of the cycle.
 * @module
 */
import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { t } from '../i18n/index.ts'
import { number } from '../ui/format.ts'
import { Icon } from '../ui/parts.tsx'
import { continueFrom, phase, phaseAt } from './phase.ts'

interface PlayerProps {
  readonly views: readonly { readonly name: string; readonly bytes: ArrayBuffer }[]
  readonly cycleMs: number
}

export function Player({ views, cycleMs }: PlayerProps) {
  const frames = useSignal<ReadonlyMap<string, readonly ImageBitmap[]>>(new Map())
  const isPlaying = useSignal(!matchMedia('(prefers-reduced-motion: reduce)').matches)
  const frame = useSignal(0)
  const canvases = useRef(new Map<string, HTMLCanvasElement>())
  useEffect(() => {
    let isGone = false
    void Promise.all(views.map(async ({ name, bytes }) => [name, await decode(bytes)] as const)).then((decoded) => {
      if (!isGone) frames.value = new Map(decoded)
    })
    return () => {
      isGone = true
      phase.value = undefined
    }
  }, [views])
  const count = Math.max(1, ...[...frames.value.values()].map((each) => each.length))

  useEffect(() => {
    if (!isPlaying.value || count < 2) return
    let handle = 0
    const tick = (now: number) => {
      // A hand on the bar has stopped it: the frame that the hand chose stays.
      if (!isPlaying.peek()) return
      const place = phaseAt(now, cycleMs)
      phase.value = place
      frame.value = Math.floor(place * count)
      handle = requestAnimationFrame(tick)
    }
    handle = requestAnimationFrame(tick)
    return () => cancelAnimationFrame(handle)
  }, [isPlaying.value, count, cycleMs])

  useEffect(() => {
    for (const [name, images] of frames.value) {
      const canvas = canvases.current.get(name)
      const image = images[frame.value % images.length]
      if (canvas === undefined || image === undefined) continue
      if (canvas.width !== image.width) [canvas.width, canvas.height] = [image.width, image.height]
      canvas.getContext('2d')?.drawImage(image, 0, 0)
    }
  }, [frame.value, frames.value])

  return (
    <div class="player" data-frames={count}>
      <div class="views">
        {views.map(({ name }) => (
          <figure key={name}>
            <canvas
              ref={(element) => {
                if (element !== null) canvases.current.set(name, element)
              }}
              role="img"
              aria-label={`SYNTHETIC: ${t(name === 'sax' ? 'cines.sax' : 'cines.4ch')}`}
            />
            <figcaption>
              {t(name === 'sax' ? 'cines.sax' : 'cines.4ch')} <span class="chip synthetic">SYNTHETIC</span>
            </figcaption>
          </figure>
        ))}
      </div>
      <div class="scrub">
        <button
          type="button"
          aria-label={isPlaying.value ? t('cines.pause') : t('cines.play')}
          onClick={() => {
            if (!isPlaying.value) continueFrom(frame.value / count, cycleMs)
            isPlaying.value = !isPlaying.value
          }}
        >
          <Icon name={isPlaying.value ? 'pause' : 'play'} />
        </button>
        <input
          type="range"
          min={0}
          max={count - 1}
          step={1}
          value={frame.value}
          aria-label={t('cines.frame')}
          onInput={({ currentTarget }) => {
            isPlaying.value = false
            frame.value = Number(currentTarget.value)
            phase.value = frame.value / count
          }}
        />
        <span class="num">
          {frame.value + 1}/{count} · {number((frame.value / count) * cycleMs)} ms
        </span>
      </div>
    </div>
  )
}

/** Decodes the frames of an animated image. */
async function decode(bytes: ArrayBuffer): Promise<readonly ImageBitmap[]> {
  if (typeof ImageDecoder === 'undefined') return [await createImageBitmap(new Blob([bytes], { type: 'image/webp' }))]
  const decoder = new ImageDecoder({ data: bytes, type: 'image/webp' })
  await decoder.tracks.ready
  const count = decoder.tracks.selectedTrack?.frameCount ?? 1
  const images: ImageBitmap[] = []
  for (let frameIndex = 0; frameIndex < count; frameIndex++) {
    const { image } = await decoder.decode({ frameIndex })
    images.push(await createImageBitmap(image))
    image.close()
  }
  decoder.close()
  return images
}
