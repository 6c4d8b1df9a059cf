// The worker that transforms, as promises.

const REST = 2000; // ms after the last answer; then the worker ends, and with it some ten MiB of what it worked with

/** @type {Worker | null} */
let worker = null;
let ending = 0;
/** @type {Map<number, (answer: any) => void>} */
const waiting = new Map();
let last = 0;

/**
 * @param {Float32Array} pixels of a square whose side is a power of two; handed over
 * @param {number} side
 * @param {{ peaks?: number, white?: boolean }} [wish]
 * @returns {Promise<{ image: Float32Array, peaks: any, white: any }>} log10(1 + power) with zero frequency in the middle
 */
export function transform(pixels, side, wish = {}) {
  if (!worker) {
    worker = new Worker("static/viewer/transform.js");
    worker.onmessage = ({ data }) => {
      waiting.get(data.id)?.(data);
      waiting.delete(data.id);
      if (!waiting.size) ending = window.setTimeout(end, REST);
    };
  }
  clearTimeout(ending);
  const id = ++last;
  const answer = new Promise((resolve) => waiting.set(id, resolve));
  worker.postMessage({ id, pixels, side, ...wish }, [pixels.buffer]);
  return /** @type {Promise<any>} */ (answer);
}

function end() {
  worker?.terminate();
  worker = null;
}

/** The largest square with a side of a power of two around a place. @param {number} row @param {number} column @param {number[]} within height and width it should have at most @param {number[]} shape @param {number} [most] px */
export function squareAround(row, column, within, shape, most = 1024) {
  const room = Math.min(...shape, most, Math.max(16, ...within));
  const side = 2 ** Math.floor(Math.log2(Math.max(2, room)));
  const start = (/** @type {number} */ at, /** @type {number} */ length) => Math.min(length - side, Math.max(0, Math.round(at - side / 2)));
  const [top, left] = [start(row, shape[0]), start(column, shape[1])];
  return { side, box: [top, left, top + side, left + side] };
}
