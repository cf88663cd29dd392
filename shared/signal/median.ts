/**
 * Median by selection, in place.
 * @module
 */

/** Median of the first `n` values (mean of the middle two when `n` is even). Reorders them. */
export function medianInPlace(values: Float64Array, n: number): number {
  const middle = n >> 1
  const upper = select(values, n, middle)
  if (n % 2 === 1) return upper
  let lower = values[0]!
  for (let i = 1; i < middle; i++) if (values[i]! > lower) lower = values[i]!
  return (lower + upper) / 2
}

/** Up to this many values, insertion sort is faster than selection. */
const FEW = 24

/** Like `medianInPlace`, but faster for few values. */
export function medianOfFew(values: Float64Array, n: number): number {
  if (n > FEW) return medianInPlace(values, n)
  for (let i = 1; i < n; i++) {
    const value = values[i]!
    let j = i - 1
    while (j >= 0 && values[j]! > value) {
      values[j + 1] = values[j]!
      j--
    }
    values[j + 1] = value
  }
  const middle = n >> 1
  return n % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2
}

/** Hoare's quickselect with a median-of-three pivot. Afterwards `values[k]` is at its sorted position and no earlier value is larger. */
function select(values: Float64Array, n: number, k: number): number {
  let left = 0
  let right = n - 1
  while (left < right) {
    const a = values[left]!
    const b = values[(left + right) >> 1]!
    const c = values[right]!
    const pivot = Math.max(Math.min(a, b), Math.min(Math.max(a, b), c))
    let i = left
    let j = right
    while (i <= j) {
      while (values[i]! < pivot) i++
      while (values[j]! > pivot) j--
      if (i <= j) {
        const swap = values[i]!
        values[i++] = values[j]!
        values[j--] = swap
      }
    }
    if (k <= j) right = j
    else if (k >= i) left = i
    else break
  }
  return values[k]!
}
