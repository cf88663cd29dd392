/**
 * Arrays of numbers that are calculated one by one.
 * @module
 */

type Numbers = Float64Array | Float32Array | Int32Array | Int16Array | Uint8Array

/** The array, each place filled with its value. `from` and `map` of such arrays take 10 to 40 times as long. */
export function filled<Kind extends Numbers>(array: Kind, valueAt: (place: number) => number): Kind {
  for (let place = 0; place < array.length; place++) array[place] = valueAt(place)
  return array
}
