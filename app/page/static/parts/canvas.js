// A frame on a canvas, in grays; rows that have not come show what was there before.

const SAMPLE = 4096; // pixels that the levels are told by
const DARK = 0.005;
const BRIGHT = 0.998;

export class Frame {
  /** @param {HTMLCanvasElement} canvas @param {number} rows @param {number} columns */
  constructor(canvas, rows, columns) {
    canvas.height = rows;
    canvas.width = columns;
    this.canvas = canvas;
    this.pixels = new Float32Array(rows * columns).fill(NaN);
    this.picture = new ImageData(columns, rows);
  }

  /** @param {ArrayLike<number>} pixels of a whole frame; NaN where none is @param {number} [rows] of them, from the first on */
  show(pixels, rows = this.canvas.height) {
    const until = rows * this.canvas.width;
    for (let n = 0; n < until; n += 1) if (!Number.isNaN(pixels[n])) this.pixels[n] = pixels[n];
    this.draw();
  }

  draw() {
    const [low, high] = levels(this.pixels);
    const scale = 255 / (high - low || 1);
    const { data } = this.picture;
    for (let n = 0; n < this.pixels.length; n += 1) {
      const gray = (this.pixels[n] - low) * scale; // NaN becomes 0
      data[4 * n] = data[4 * n + 1] = data[4 * n + 2] = gray;
      data[4 * n + 3] = 255;
    }
    this.canvas.getContext("2d")?.putImageData(this.picture, 0, 0);
  }
}

/** Black and white. @param {Float32Array} pixels @returns {[number, number]} */
function levels(pixels) {
  const step = Math.max(1, Math.floor(pixels.length / SAMPLE)) | 1; // odd: not always the same columns
  const found = [];
  for (let n = 0; n < pixels.length; n += step) if (!Number.isNaN(pixels[n])) found.push(pixels[n]);
  found.sort((a, b) => a - b);
  return [found[Math.floor(DARK * found.length)] ?? 0, found[Math.floor(BRIGHT * found.length)] ?? 1];
}
