// Quantiles and extremes of pixels, fast enough to follow a view: levels are set by them, and nothing else.

const SAMPLES = 2 ** 16; // pixels that quantiles are taken of, at equal steps

/** @type {WeakMap<Float32Array, Float32Array>} the sorted sample of an array that is there to stay */
const known = new WeakMap();

/** @param {Float32Array[]} parts @param {number[]} shares */
export function quantiles(parts, shares) {
  const sample = parts.length === 1 ? (known.get(parts[0]) ?? sorted(parts)) : sorted(parts);
  if (parts.length === 1) known.set(parts[0], sample);
  return shares.map((share) => sample[Math.min(sample.length - 1, Math.round(share * (sample.length - 1)))]);
}

/** @param {Float32Array[]} parts */
function sorted(parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const step = Math.max(1, Math.floor(length / SAMPLES));
  const sample = new Float32Array(parts.reduce((sum, part) => sum + Math.ceil(part.length / step), 0));
  let at = 0;
  for (const part of parts) for (let i = 0; i < part.length; i += step) sample[at++] = part[i];
  return sample.sort();
}

/** The least and the largest of all pixels. @param {Float32Array[]} parts @returns {[number, number]} */
export function extremes(parts) {
  let [least, most] = [Infinity, -Infinity];
  for (const part of parts) for (const value of part) { if (value < least) least = value; if (value > most) most = value; }
  return [least, most];
}
