// Without WebGL2: pictures that the server drew, moved and scaled here. Levels become percentiles, as the server takes them.

import { askPicture } from "../parts/api.js";
import { settled } from "../parts/dom.js";

const SERVER_MAPS = ["gray", "viridis", "inferno", "magma"];

export class Pictures {
  /** @param {() => void} drawn to be called when a picture has come */
  constructor(drawn) {
    this.drawn = drawn;
    /** @type {WeakMap<any, { asked: string, picture: ImageBitmap | null, fetch: (address: string) => void }>} */
    this.held = new WeakMap();
  }

  /** As `Renderer.draw`. @param {HTMLCanvasElement} target @param {any} shown @param {any} look @param {number} density */
  draw(target, shown, look, density) {
    const context = /** @type {CanvasRenderingContext2D} */ (target.getContext("2d"));
    const [width, height] = [target.width, target.height];
    context.clearRect(0, 0, width, height);
    const first = this.picture(shown.first, look);
    if (!first) return false;
    this.place(context, first, shown.first.shape, look, density, width, height);
    const second = shown.second && this.picture(shown.second, look);
    if (!second) return true;
    context.save();
    context.beginPath();
    if (shown.how === "wipe") context.rect((shown.wipe ?? 0) * width, 0, width, height);
    else context.rect(0, 0, width, height);
    context.clip();
    if (shown.how === "wipe") context.clearRect(0, 0, width, height);
    else context.globalCompositeOperation = "difference";
    this.place(context, second, shown.second.shape, look, density, width, height);
    context.restore();
    return true;
  }

  /** @param {CanvasRenderingContext2D} context @param {ImageBitmap} picture @param {number[]} shape @param {any} look @param {number} density @param {number} width @param {number} height */
  place(context, picture, [rows, columns], look, density, width, height) {
    const scale = look.zoom * density;
    context.imageSmoothingEnabled = scale < 1;
    context.drawImage(picture, width / 2 - look.column * scale, height / 2 - look.row * scale, columns * scale, rows * scale);
  }

  /** @param {any} pyramid @param {any} look */
  picture(pyramid, look) {
    const overview = pyramid.tiles.get(`${pyramid.levels - 1}/0/0`)?.pixels;
    if (!overview || !pyramid.path) return null;
    const percentiles = [look.low, look.high].map((level) => share(overview, level));
    if (percentiles[1] <= percentiles[0]) percentiles[0] = Math.max(0, (percentiles[1] = Math.min(100, percentiles[0] + 0.01)) - 0.01);
    const query = new URLSearchParams({ ...pyramid.query, format: "png", percentiles: percentiles.map((each) => Number(each.toFixed(4))).join(), colormap: SERVER_MAPS.includes(look.map) ? look.map : "gray" });
    const address = `${pyramid.path}?${query}`;
    let held = this.held.get(pyramid);
    if (!held) {
      held = { asked: "", picture: null, fetch: settled((/** @type {string} */ wanted) => this.fetch(pyramid, wanted), 150) };
      this.held.set(pyramid, held);
    }
    if (held.asked !== address) {
      held.asked = address;
      held.fetch(address);
    }
    return held.picture;
  }

  /** @param {any} pyramid @param {string} address */
  async fetch(pyramid, address) {
    const held = /** @type {any} */ (this.held.get(pyramid));
    try {
      const picture = await askPicture(address, { signal: pyramid.closed.signal });
      if (held.asked === address) held.picture = picture;
    } catch (error) {
      if (/** @type {Error} */ (error).name !== "AbortError") pyramid.error = error;
    }
    this.drawn();
  }
}

/** Percentage of pixels below a level. @param {Float32Array} pixels @param {number} level */
function share(pixels, level) {
  let below = 0;
  for (const value of pixels) if (value < level) below++;
  return (100 * below) / pixels.length;
}
