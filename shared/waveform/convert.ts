/**
 * Element-wise conversion of samples between typed arrays.
 * @module
 */

/**
 * Fills `target` with the converted values of `source`, and returns it. On the path of each window instead of `Float32Array.from(source, f)`,
 * which goes through an iterator: for the 60,000 samples of a window that took longer than the inference.
 * @param source as many values as `target`
 */
export function convertInto<T extends Float32Array | Int16Array | Int32Array>(
  target: T,
  source: ArrayLike<number>,
  convert: (value: number) => number,
): T {
  for (let i = 0; i < target.length; i++) target[i] = convert(source[i]!)
  return target
}
