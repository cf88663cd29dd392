/**
 * Initial noise of a drawing: standard normal values that depend only on a seed. It uses only integer arithmetic, + − × ÷ and √, which IEEE
 * 754 defines to the last bit, so the bytes are the same on every processor and in every language.
 *
 * Value i of a stream: one block of Threefry-2x32-20 (Salmon et al. 2011, doi 10.1145/2063384.2063405) with the key (seed, stream) and the
 * counter (i, 0) gives 64 bits. The first bit is the sign, the next 52 are k, and the magnitude is −Φ⁻¹((k + ½) / 2⁵³) by AS 241 (Wichura
 * 1988, doi 10.2307/2347330).
 * @module
 */

/** Fills `output` with standard normal values. `seed` and `stream` are uint32. */
export function fillNormal(output: Float32Array, seed: number, stream: number): void {
  const block = new Uint32Array(2)
  for (let i = 0; i < output.length; i++) {
    threefry2x32(i, 0, seed, stream, block)
    const first = block[0]!
    const magnitude = normalQuantile(((first & 0x7fff_ffff) * 0x20_0000 + (block[1]! >>> 11) + 0.5) * 2 ** -53)
    output[i] = first >>> 31 === 1 ? -magnitude : magnitude
  }
}

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24]

/** Twenty rounds of Threefry-2x32 on the counter (c0, c1) under the key (k0, k1). */
export function threefry2x32(c0: number, c1: number, k0: number, k1: number, output: Uint32Array): void {
  const keys = [k0, k1, 0x1bd1_1bda ^ k0 ^ k1]
  let x0 = (c0 + k0) | 0
  let x1 = (c1 + k1) | 0
  for (let round = 0; round < 20; round++) {
    const turn = ROTATIONS[round % 8]!
    x0 = (x0 + x1) | 0
    x1 = ((x1 << turn) | (x1 >>> (32 - turn))) ^ x0
    if (round % 4 === 3) {
      const injection = (round + 1) / 4
      x0 = (x0 + keys[injection % 3]!) | 0
      x1 = (x1 + keys[(injection + 1) % 3]! + injection) | 0
    }
  }
  output[0] = x0
  output[1] = x1
}

/** Coefficients of AS 241: numerator and denominator for the centre, the tail and the far tail, highest power first. */
const CENTRE = [
  [
    2509.0809287301227, 33430.57558358813, 67265.7709270087, 45921.95393154987, 13731.69376550946, 1971.5909503065513,
    133.14166789178438, 3.3871328727963665,
  ],
  [
    5226.495278852854, 28729.085735721943, 39307.89580009271, 21213.794301586597, 5394.196021424751, 687.1870074920579,
    42.31333070160091, 1,
  ],
] as const
const TAIL = [
  [
    0.0007745450142783414, 0.022723844989269184, 0.2417807251774506, 1.2704582524523684, 3.6478483247632045,
    5.769497221460691, 4.630337846156546, 1.4234371107496835,
  ],
  [
    1.0507500716444169e-9, 0.0005475938084995345, 0.015198666563616457, 0.14810397642748008, 0.6897673349851,
    1.6763848301838038, 2.053191626637759, 1,
  ],
] as const
const FAR_TAIL = [
  [
    2.0103343992922881e-7, 0.000027115555687434876, 0.0012426609473880784, 0.026532189526576124, 0.29656057182850487,
    1.7848265399172913, 5.463784911164114, 6.657904643501103,
  ],
  [
    2.0442631033899397e-15, 1.421511758316446e-7, 0.000018463183175100548, 0.0007868691311456133, 0.014875361290850615,
    0.1369298809227358, 0.599832206555888, 1,
  ],
] as const

/** −Φ⁻¹(p) for p in (0, ½): the value that a share p of a standard normal distribution exceeds. */
export function normalQuantile(p: number): number {
  const q = 0.5 - p
  if (q <= 0.425) return q * ratio(CENTRE, 0.180625 - q * q)
  const r = Math.sqrt(-ln(p))
  return r <= 5 ? ratio(TAIL, r - 1.6) : ratio(FAR_TAIL, r - 5)
}

function ratio([numerator, denominator]: readonly [readonly number[], readonly number[]], r: number): number {
  let above = 0
  let below = 0
  for (let i = 0; i < numerator.length; i++) {
    above = above * r + numerator[i]!
    below = below * r + denominator[i]!
  }
  return above / below
}

/** Natural logarithm in (0, 1), by halving and the series of artanh. The last bit of `Math.log` may differ between engines. */
function ln(x: number): number {
  let halvings = 0
  while (x < Math.SQRT1_2) {
    x *= 2
    halvings++
  }
  const z = (x - 1) / (x + 1)
  const square = z * z
  let sum = 0
  for (let power = 23; power >= 1; power -= 2) sum = sum * square + 1 / power
  return 2 * z * sum - halvings * Math.LN2
}
