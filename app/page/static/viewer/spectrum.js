// Spectra of what is in view, in all images at the same levels, with the peaks that the result has kept.

import { fill, h, settled } from "../parts/dom.js";
import { about } from "../parts/words.js";
import { paint } from "./colormaps.js";
import { quantiles } from "./quantiles.js";
import { squareAround, transform } from "./transforms.js";

const PEAKS = 60; // of the raw image
const KEPT = 0.3; // powers of ten that a lattice's peak loses at most in the result
const MARGIN = 1.6; // of the farthest peak, that is shown
const DRAWN = 256; // px of a drawn spectrum at most: of several frequencies the strongest is drawn, so that no spot is lost

export class Spectrum {
  /** @param {any} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.images = h("div", { class: "spectra" });
    this.note = h("p", { class: "small quiet", role: "status", "aria-live": "off" });
    this.marked = h("input", { type: "checkbox", checked: true, title: "Circle the peaks of the raw spectrum that the result has kept, in all spectra", onchange: () => this.paint() });
    this.near = h("input", { type: "checkbox", checked: true, title: "Show only the frequencies of the lattice", onchange: () => this.paint() });
    this.element = h("div", { "data-part": "spectrum" }, this.images, this.note, h("div", { class: "row" }, h("label", { class: "small", title: "Circle the peaks of the raw spectrum that the result has kept, in all spectra" }, this.marked, "peaks of the lattice"), h("label", { class: "small", title: "Show only the frequencies of the lattice" }, this.near, "closer")));
    this.measure = settled(() => this.compute(), 200);
    this.run = 0;
    this.shown = 1; // frequencies along a side that are drawn
    /** @type {{ name: string, title: string, kind: string, image: Float32Array, canvas: HTMLCanvasElement }[]} */
    this.spectra = [];
    this.stopped = false;
  }

  stop() {
    this.stopped = true;
  }

  async compute() {
    const { view, sources } = this.viewer;
    if (this.stopped) return;
    const run = ++this.run;
    const [top, left, bottom, right] = view.window();
    const { side, box } = squareAround(view.row, view.column, [bottom - top, right - left], view.shape);
    const spectra = [];
    let peaks = null;
    for (const { name, title, kind, pyramid } of sources.values()) {
      if (!pyramid?.tiles.size) continue;
      const { pixels, reduce } = await pyramid.region(box);
      if (reduce !== 1 || run !== this.run) return;
      const found = await transform(pixels, side, kind === "raw" ? { peaks: PEAKS } : {});
      if (run !== this.run) return;
      peaks ??= found.peaks;
      spectra.push({ name, title, kind, image: found.image, canvas: this.canvas(`spectrum of ${name}`, side) });
    }
    Object.assign(this, { spectra, side, box, peaks: lattice(peaks?.found ?? [], spectra, side) });
    fill(this.images, spectra.map(({ canvas, title }) => h("figure", {}, canvas, h("figcaption", {}, title))));
    this.paint();
    this.say();
  }

  /** @param {string} name @param {number} side */
  canvas(name, side) {
    const canvas = h("canvas", { role: "img", "aria-label": name, width: side, height: side, title: "Point at a spot to read its spacing" });
    canvas.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      const box = canvas.getBoundingClientRect();
      const { shown } = this;
      this.say([Math.floor(((event.clientY - box.top) / box.height) * shown) - shown / 2, Math.floor(((event.clientX - box.left) / box.width) * shown) - shown / 2]);
    });
    canvas.addEventListener("pointerleave", () => this.say());
    return canvas;
  }

  /** @param {number[]} [at] rows and columns from zero frequency */
  say(at) {
    const { signal, unit } = this.viewer;
    const { side = 1, box = [0, 0, 0, 0] } = /** @type {any} */ (this);
    if (!at || (!at[0] && !at[1])) {
      this.note.textContent = `${side} × ${side} px from row ${box[0]}, column ${box[1]}; Hann window, logarithm of power, same levels.`;
      return;
    }
    const [down, across] = at.map((steps, axis) => steps / (side * (signal.pixel_size?.[axis] ?? 1)));
    const frequency = Math.hypot(down, across);
    const name = signal.pixel_size ? unit : "px";
    const place = (((at[0] + side / 2) % side) * side) + ((at[1] + side / 2) % side);
    fill(this.note, `spacing ${about(1 / frequency)} ${name}, ${about(frequency)} per ${name}, ${about((Math.atan2(-down, across) * 180) / Math.PI, 3)}°; log₁₀ of power: `,
      this.spectra.map((each, index) => [index > 0 && ", ", h("span", { "data-value": each.name }, `${each.title} ${each.image[place].toFixed(3)}`)]));
  }

  paint() {
    const { spectra } = this;
    const leading = spectra.find(({ kind }) => kind === "raw") ?? spectra[0];
    if (!leading) return;
    const [low, high] = quantiles([leading.image], [0.02, 0.9999]);
    const { side, peaks } = /** @type {any} */ (this);
    const farthest = Math.max(0, ...peaks.map((/** @type {number[]} */ [down, across]) => Math.max(Math.abs(down), Math.abs(across))));
    let shown = side;
    while (this.near.checked && farthest && shown > 64 && shown / 4 > farthest * MARGIN) shown /= 2;
    this.shown = shown;
    const step = Math.max(1, shown / DRAWN);
    for (const { image, canvas } of spectra) {
      paint(canvas, strongest(middle(image, side, shown), shown, step), [shown / step, shown / step], low, high, "inferno");
      if (!this.marked.checked) continue;
      const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
      Object.assign(context, { strokeStyle: "#5ad1c1", lineWidth: Math.max(0.5, shown / step / 200) });
      for (const [down, across] of peaks) {
        context.beginPath();
        context.arc((shown / 2 + across + 0.5) / step, (shown / 2 + down + 0.5) / step, Math.max(2.5, shown / step / 32), 0, 7);
        context.stroke();
      }
    }
  }
}

/** Peaks of the raw image that the result has, too: those of the specimen, not of the scan. @param {number[][]} found @param {any[]} spectra @param {number} side */
function lattice(found, spectra, side) {
  const [raw, denoised] = ["raw", "denoised"].map((wanted) => spectra.find(({ kind }) => kind === wanted)?.image);
  const at = (/** @type {number[]} */ [down, across]) => (((down + side / 2) % side) * side) + ((across + side / 2) % side);
  return found.filter((peak) => !denoised || !raw || denoised[at(peak)] > raw[at(peak)] - KEPT);
}

/** @param {Float32Array} image @param {number} side @param {number} shown */
function middle(image, side, shown) {
  if (shown === side) return image;
  const start = (side - shown) / 2;
  const cut = new Float32Array(shown * shown);
  for (let row = 0; row < shown; row++) cut.set(image.subarray((start + row) * side + start, (start + row) * side + start + shown), row * shown);
  return cut;
}

/** The largest of each block. @param {Float32Array} image @param {number} side @param {number} step px, of a block */
function strongest(image, side, step) {
  if (step === 1) return image;
  const fewer = new Float32Array((side / step) ** 2).fill(-Infinity);
  image.forEach((value, at) => {
    const block = Math.floor(at / side / step) * (side / step) + Math.floor((at % side) / step);
    if (value > fewer[block]) fewer[block] = value;
  });
  return fewer;
}
