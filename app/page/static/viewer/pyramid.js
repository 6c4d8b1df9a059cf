// Pixels of one image as they are needed: tiles of mean levels from the server, float32, in bounded memory.

import { askPixels } from "../parts/api.js";

const TILE = 512; // px, side of a tile at its own scale
const WHOLE = 2048; // px, longest side of an image that is fetched at once
const LOADS = 6; // requests at a time
const BUDGET = 32 * 2 ** 20; // bytes of tiles of all large images that are kept; more only of what is drawn now
const ROUGH = 2; // levels above the one that is drawn, of which there is something soon
const AWAY = [0, 429, 502, 503]; // answers of a server that will be back
const PAUSE = 2000; // ms before it is asked again
const STALE = 3; // frames after which a tile that nobody drew is not fetched any more

/** @typedef {{ pixels: Float32Array, rows: number, columns: number, row: number, column: number, reduce: number, used: number }} Tile row and column of the first pixel at its own scale */

let clock = 0; // counts what was drawn
/** @type {Map<Tile, () => void>} tiles of large images, oldest use first, and how each is forgotten */
const resident = new Map();
let held = 0; // bytes of them
let loading = 0;
/** @type {Map<string, { stamp: number, start: () => Promise<void> }>} */
const wanted = new Map();

/** To be called once for each frame that is drawn. */
export const tick = () => clock++;

function pump() {
  for (const [name, { stamp }] of wanted) if (clock - stamp > STALE) wanted.delete(name);
  while (loading < LOADS && wanted.size) {
    const [name, { start }] = [...wanted].reduce((a, b) => (b[1].stamp > a[1].stamp ? b : a));
    wanted.delete(name);
    loading++;
    start().finally(() => {
      loading--;
      pump();
    });
  }
}

export class Pyramid extends EventTarget {
  /**
   * @param {string} path of something of the API that gives raw pixels
   * @param {Record<string, any>} query a frame, a signal
   * @param {number[]} shape rows, columns
   */
  constructor(path, query, shape) {
    super();
    this.path = path;
    this.query = query;
    this.shape = shape;
    this.whole = Math.max(...shape) <= WHOLE;
    this.side = this.whole ? WHOLE : TILE;
    this.levels = Math.max(1, Math.ceil(Math.log2(Math.max(...shape) / TILE)) + 1);
    /** @type {Map<string, Tile>} */
    this.tiles = new Map();
    /** @type {Set<string>} */
    this.underWay = new Set();
    /** @type {any} */
    this.error = null;
    this.closed = new AbortController();
    /** @type {Promise<Pyramid> | null} */
    this.opening = null;
  }

  /** An image that is there already, such as a preview of a revision. @param {Float32Array} pixels @param {number[]} shape */
  static of(pixels, shape) {
    const pyramid = new Pyramid("", {}, shape);
    pyramid.whole = true;
    pyramid.side = Math.max(...shape);
    pyramid.takeWhole(pixels);
    pyramid.opening = Promise.resolve(pyramid);
    return pyramid;
  }

  /** Load what shows the whole image; once, however often it is asked for. */
  open() {
    this.opening ??= this.start();
    return this.opening;
  }

  async start() {
    if (this.whole) this.takeWhole((await this.ask({})).pixels);
    else await this.load(this.levels - 1, 0, 0);
    return this;
  }

  /** Pixels from the server; as long as it is away or busy, again and again. @param {Record<string, any>} cut */
  async ask(cut) {
    for (;;) {
      try {
        return await askPixels(this.path, { ...this.query, ...cut }, { signal: this.closed.signal });
      } catch (error) {
        if (!AWAY.includes(/** @type {any} */ (error).status)) throw error;
        await new Promise((wake) => setTimeout(wake, PAUSE));
        this.closed.signal.throwIfAborted();
      }
    }
  }

  close() {
    this.closed.abort();
    for (const tile of this.tiles.values()) {
      if (resident.delete(tile)) giveBack(tile);
    }
    this.tiles.clear();
  }

  /** @param {Float32Array} pixels */
  takeWhole(pixels) {
    const [rows, columns] = this.shape;
    if (pixels.length !== rows * columns) throw new Error(`got ${pixels.length} pixels of ${this.path}, expected ${rows} × ${columns}`);
    for (let level = 0; level < this.levels; level++) {
      const reduce = 2 ** level;
      const made = level ? means(pixels, rows, columns, reduce) : { pixels, rows, columns };
      this.tiles.set(`${level}/0/0`, { ...made, row: 0, column: 0, reduce, used: 0 });
    }
    this.dispatchEvent(new Event("tile"));
  }

  /** A tile that is there; it is in use now. @param {string} name */
  held(name) {
    const tile = this.tiles.get(name);
    if (!tile) return null;
    tile.used = clock;
    const forget = resident.get(tile);
    if (forget) { // the newest use goes last
      resident.delete(tile);
      resident.set(tile, forget);
    }
    return tile;
  }

  /** The tile at a level, or null and it is fetched. @param {number} level @param {number} down @param {number} across @param {number} [urgency] below 1: before others of this frame @returns {Tile | null} */
  tile(level, down, across, urgency = 0) {
    const name = `${level}/${down}/${across}`;
    const tile = this.held(name);
    if (tile) return tile;
    if (this.path && !this.whole && !this.underWay.has(name) && !this.error) {
      wanted.set(`${this.path}${JSON.stringify(this.query)}${name}`, { stamp: clock + urgency, start: () => this.load(level, down, across) });
      queueMicrotask(pump);
    }
    return null;
  }

  /** The finest tile there is of the place that a tile of this level covers. @param {number} level @param {number} down @param {number} across */
  best(level, down, across) {
    const last = Math.min(level, this.levels - 1);
    const exact = this.tile(last, down, across);
    if (exact) return exact;
    const rough = Math.min(last + ROUGH, this.levels - 1);
    this.tile(rough, down >> (rough - last), across >> (rough - last), 0.5);
    for (let coarse = last + 1, d = down >> 1, a = across >> 1; coarse < this.levels; coarse++, d >>= 1, a >>= 1) {
      const tile = this.held(`${coarse}/${d}/${a}`);
      if (tile) return tile;
    }
    return null;
  }

  /** @param {number} level @param {number} down @param {number} across */
  async load(level, down, across) {
    const name = `${level}/${down}/${across}`;
    if (this.tiles.has(name) || this.underWay.has(name) || this.closed.signal.aborted) return;
    this.underWay.add(name);
    const reduce = 2 ** level;
    const span = TILE * reduce;
    const [rows, columns] = this.shape;
    const bottom = Math.min(rows, (down + 1) * span);
    const right = Math.min(columns, (across + 1) * span);
    try {
      const { pixels, shape } = await this.ask({ region: [down * span, across * span, bottom, right], reduce });
      const tile = { pixels, rows: shape[0], columns: shape[1], row: down * TILE, column: across * TILE, reduce, used: clock };
      this.tiles.set(name, tile);
      if (level < this.levels - 1) this.keep(name, tile);
      this.dispatchEvent(new Event("tile"));
    } catch (error) {
      if (/** @type {Error} */ (error).name !== "AbortError") {
        this.error = error;
        this.dispatchEvent(new Event("tile"));
      }
    } finally {
      this.underWay.delete(name);
    }
  }

  /** Keep a tile, and forget the ones that were not used for longest. @param {string} name @param {Tile} tile */
  keep(name, tile) {
    resident.set(tile, () => this.tiles.delete(name));
    held += tile.pixels.byteLength;
    for (const [oldest, forget] of resident) {
      if (held <= BUDGET || oldest.used >= clock - 1) break;
      resident.delete(oldest);
      forget();
      giveBack(oldest);
    }
  }

  /** What is loaded of a window, at the scale at which it is drawn or the next coarser one that is there. @param {number[]} window @param {number} pace image px per CSS px */
  seen([top, left, bottom, right], pace) {
    for (let level = Math.max(0, Math.min(this.levels - 1, Math.floor(Math.log2(pace)))); level < this.levels; level++) {
      const span = this.side * 2 ** level;
      const parts = [...this.tiles.values()].filter(({ reduce, row, column }) => reduce === 2 ** level && row * reduce < bottom && (row * reduce) + span > top && column * reduce < right && (column * reduce) + span > left);
      if (parts.length) return { reduce: 2 ** level, parts: parts.map(({ pixels }) => pixels) };
    }
    return { reduce: 1, parts: [] };
  }

  /** The value of one pixel, exactly as the server has it, or null while it is fetched. @param {number} row @param {number} column */
  value(row, column) {
    const tile = this.tile(0, Math.floor(row / this.side), Math.floor(column / this.side));
    return tile ? tile.pixels[(row - tile.row) * tile.columns + column - tile.column] : null;
  }

  /**
   * The pixels of a region, or their means if there are more than `most`.
   * @param {number[]} region first row, first column, and the ones after the last
   * @param {number} [most] pixels
   */
  async region([top, left, bottom, right], most = 2 ** 22) {
    const [rows, columns] = [bottom - top, right - left];
    if (this.whole) {
      const { pixels, columns: wide } = /** @type {Tile} */ (this.tiles.get("0/0/0"));
      const cut = new Float32Array(rows * columns);
      for (let row = 0; row < rows; row++) cut.set(pixels.subarray((top + row) * wide + left, (top + row) * wide + right), row * columns);
      return { pixels: cut, shape: [rows, columns], reduce: 1 };
    }
    let reduce = 1;
    while ((rows / reduce) * (columns / reduce) > most) reduce *= 2;
    const found = await this.ask({ region: [top, left, bottom, right], reduce });
    return { ...found, reduce };
  }
}

/** A tile that is in no pyramid any more. @param {Tile} tile */
function giveBack({ pixels }) {
  held -= pixels.byteLength;
  free(pixels);
}

/** Give memory back at once, not when the browser gets to it; the array is empty then. @param {Float32Array} array */
export function free(array) {
  /** @type {any} */ (array.buffer).transfer?.(0);
}

/** Means of blocks; those at the ends may be smaller. @param {Float32Array} pixels @param {number} rows @param {number} columns @param {number} step */
export function means(pixels, rows, columns, step) {
  const [down, across] = [Math.ceil(rows / step), Math.ceil(columns / step)];
  const sums = new Float64Array(down * across);
  for (let row = 0; row < rows; row++) {
    const base = Math.floor(row / step) * across;
    for (let column = 0, at = row * columns; column < columns; column++, at++) sums[base + Math.floor(column / step)] += pixels[at];
  }
  const small = new Float32Array(down * across);
  for (let d = 0; d < down; d++) {
    const high = Math.min(step, rows - d * step);
    for (let a = 0; a < across; a++) small[d * across + a] = sums[d * across + a] / (high * Math.min(step, columns - a * step));
  }
  return { pixels: small, rows: down, columns: across };
}
