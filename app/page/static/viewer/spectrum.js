// Spectra of what is in view, in all images at the same levels, with the peaks of the denoised one.

import { fill, h, settled } from "../parts/dom.js";
import { about } from "../parts/words.js";
import { paint } from "./colormaps.js";
import { quantiles } from "./histogram.js";
import { squareAround, transform } from "./transforms.js";

const PEAKS = 12;

export class Spectrum {
  /** @param {any} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.images = h("div", { class: "spectra" });
    this.note = h("p", { class: "small quiet", role: "status", "aria-live": "off" });
    this.marked = h("input", { type: "checkbox", checked: true, title: "Circle the peaks of the denoised image's spectrum, in all spectra", onchange: () => this.paint() });
    this.element = h("div", { "data-part": "spectrum" }, this.images, this.note, h("label", { class: "small", title: "Circle the peaks of the denoised image's spectrum, in all spectra" }, this.marked, "peaks of the lattice"));
    this.measure = settled(() => this.compute(), 200);
    this.run = 0;
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
      const found = await transform(pixels, side, kind === "denoised" || kind === "raw" ? { peaks: PEAKS } : {});
      if (run !== this.run) return;
      if (kind === "denoised" || !peaks) peaks = found.peaks ?? peaks;
      spectra.push({ name, title, kind, image: found.image, canvas: this.canvas(`spectrum of ${name}`, side) });
    }
    Object.assign(this, { spectra, peaks, side, box });
    fill(this.images, spectra.map(({ canvas, title }) => h("figure", {}, canvas, h("figcaption", {}, title))));
    this.paint();
    this.say();
  }

  /** @param {string} name @param {number} side */
  canvas(name, side) {
    const canvas = h("canvas", { role: "img", "aria-label": name, width: side, height: side, title: "Point at a spot to read its spacing" });
    canvas.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      const box = canvas.getBoundingClientRect();
      this.say([Math.floor(((event.clientY - box.top) / box.height) * side) - side / 2, Math.floor(((event.clientX - box.left) / box.width) * side) - side / 2]);
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
    this.note.textContent = `spacing ${about(1 / frequency)} ${name}, ${about(frequency)} per ${name}, ${about((Math.atan2(-down, across) * 180) / Math.PI, 3)}°`;
  }

  paint() {
    const { spectra } = this;
    const leading = spectra.find(({ kind }) => kind === "raw") ?? spectra[0];
    if (!leading) return;
    const [low, high] = quantiles(leading.image, [0.02, 0.9999]);
    const { side, peaks } = /** @type {any} */ (this);
    for (const { image, canvas } of spectra) {
      paint(canvas, image, [side, side], low, high, "inferno");
      if (!this.marked.checked || !peaks) continue;
      const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
      Object.assign(context, { strokeStyle: "#5ad1c1", lineWidth: Math.max(1, side / 200) });
      for (const [down, across] of peaks.found) {
        context.beginPath();
        context.arc(side / 2 + across + 0.5, side / 2 + down + 0.5, Math.max(3, side / 36), 0, 7);
        context.stroke();
      }
    }
  }
}
