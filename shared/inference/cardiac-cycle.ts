/**
 * Interpolates the few frames that are drawn to the frames of a cine, with a periodic spline over one cardiac cycle.
 * @module
 */

/**
 * Evaluates the Catmull-Rom spline through `count` frames, evenly spaced over one cycle, at `countOut` evenly spaced positions. The first
 * position is the first frame.
 * @param frames [count][pixels], values in [−1, 1]
 * @returns [countOut][pixels], grey levels: −1 is 0, 1 is 255
 */
export function interpolateCycle(frames: Float32Array, count: number, countOut: number): Uint8Array {
  const pixels = frames.length / count
  const output = new Uint8Array(countOut * pixels)
  const frame = (index: number) => {
    const at = ((index + count) % count) * pixels
    return frames.subarray(at, at + pixels)
  }
  for (let k = 0; k < countOut; k++) {
    const place = (k * count) / countOut
    const index = Math.floor(place)
    const t = place - index
    const [before, from, to, after] = [frame(index - 1), frame(index), frame(index + 1), frame(index + 2)]
    const [a, b, c, d] = catmullRom(t)
    for (let i = 0; i < pixels; i++) {
      output[k * pixels + i] = greyLevel(a * before[i]! + b * from[i]! + c * to[i]! + d * after[i]!)
    }
  }
  return output
}

/** Weights of the four frames around a position; `t` is the fraction of the way from the second frame to the third. */
function catmullRom(t: number): readonly [number, number, number, number] {
  const [t2, t3] = [t * t, t * t * t]
  return [-t / 2 + t2 - t3 / 2, 1 - (5 * t2) / 2 + (3 * t3) / 2, t / 2 + 2 * t2 - (3 * t3) / 2, (t3 - t2) / 2]
}

const greyLevel = (value: number) => Math.min(255, Math.max(0, Math.round((value + 1) * 127.5)))
