// Histogram of what the panes show, with handles for black and white. Levels are of the page: no pixel is changed.

import { button, h, settled } from "../parts/dom.js";
import { about } from "../parts/words.js";
import { extremes, quantiles } from "./quantiles.js";

const BINS = 256;
const TAILS = 0.002; // share of pixels that automatic levels leave out at either end
const OUTERMOST = 0.0005; // share of pixels at either end beyond which the histogram goes by its own width at most
const SAMPLES = 4096; // pixels that tell whether all are whole numbers
const STEP = 0.01; // of the range, that an arrow key moves a handle

export class Histogram {
  /** @param {any} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.handles = [this.handle("low", "Black level"), this.handle("high", "White level")];
    this.box = h("div", { class: "histogram" }, this.canvas, this.handles);
    this.inputs = [this.input("low", "Black"), this.input("high", "White")];
    this.note = h("span", { class: "quiet small" });
    this.same = h("input", { type: "checkbox", checked: true, title: "Show the residual over as many counts as the images, so that its strength can be compared", onchange: () => this.levelResidual() });
    this.sameLabel = h("label", { title: "Residual over as many counts as the images" }, this.same, "residual in the same contrast");
    this.element = h("section", { class: "card", "aria-label": "Histogram and levels" }, this.box,
      h("div", { class: "levels" }, h("label", {}, h("span", { class: "hidden-label" }, "Black level"), this.inputs[0]), "to", h("label", {}, h("span", { class: "hidden-label" }, "White level"), this.inputs[1]),
        button("Auto", "Levels from the pixels, without the outermost 0.2 % (A)", () => { this.manual = false; this.automatic(); }), button("Full", "Levels and histogram from the least to the largest pixel", () => { this.manual = true; this.automatic(0); }),
        this.sameLabel, this.note));
    /** @type {[number, number]} */
    this.range = [0, 1];
    /** @type {{ kind: string, counts: Float64Array, start: number, width: number }[]} start of the first bin and width of all, in counts */
    this.curves = [];
    this.levelled = false;
    this.seen = "";
    this.manual = false; // whether a person has set the levels
    this.full = false; // whether the histogram goes to the outermost pixels
    this.refresh = settled(() => {
      this.count();
      const large = [...this.viewer.sources.values()].some(({ pyramid }) => pyramid && !pyramid.whole);
      if (large && !this.manual) this.automatic();
    }, 150);
  }

  /** @param {"low" | "high"} which @param {string} label */
  handle(which, label) {
    const handle = h("div", { class: "handle", role: "slider", tabindex: 0, "aria-label": label, title: `${label}: drag, or arrow keys`, "data-level": which });
    handle.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => { handle.setPointerCapture(event.pointerId); event.preventDefault(); handle.focus(); });
    handle.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const { left, width } = this.canvas.getBoundingClientRect();
      this.put(which, this.range[0] + ((event.clientX - left) / width) * (this.range[1] - this.range[0]));
    });
    handle.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 10, PageDown: -10 }[event.key];
      if (!way) return;
      event.preventDefault();
      event.stopPropagation();
      this.put(which, this.viewer.view[which] + way * STEP * (this.range[1] - this.range[0]));
    });
    return handle;
  }

  /** @param {"low" | "high"} which @param {string} label */
  input(which, label) {
    const input = h("input", { type: "number", step: "any", title: `${label} level in counts`, onchange: () => Number.isFinite(input.valueAsNumber) && this.put(which, input.valueAsNumber) });
    return input;
  }

  /** @param {"low" | "high"} which @param {number} value */
  put(which, value) {
    this.manual = true;
    const { view } = this.viewer;
    const gap = (this.range[1] - this.range[0]) * 1e-4;
    view.set({ [which]: which === "low" ? Math.min(value, view.high - gap) : Math.max(value, view.low + gap) });
    this.levelResidual();
  }

  /** The first image that is there sets the levels; the denoised one sets them again, since it has the truer range. @param {string} name */
  start(name) {
    this.count();
    const kind = this.viewer.sources.get(name)?.kind;
    if (!this.levelled && (kind === "raw" || kind === "denoised")) this.automatic();
    if (kind === "denoised") this.levelled = true;
    if (kind === "residual") this.levelResidual();
  }

  /** All pixels of an image; of a large one what is in view, at the scale at which it is drawn. @param {string} kind @returns {Float32Array[] | null} */
  pixels(kind) {
    const source = [...this.viewer.sources.values()].find((each) => each.kind === kind && each.pyramid?.tiles.size);
    if (!source) return null;
    const { pyramid } = source;
    const { view } = this.viewer;
    const found = pyramid.whole ? { reduce: 1, parts: [pyramid.tiles.get("0/0/0").pixels] } : pyramid.seen(view.window(), 1 / view.zoom);
    this.reduce = found.reduce;
    return found.parts.length ? found.parts : null;
  }

  /** Of large images, what is in view changes: count it anew, and level it as long as nobody has. */
  follow() {
    const large = [...this.viewer.sources.values()].some(({ pyramid }) => pyramid && !pyramid.whole);
    const now = JSON.stringify(this.viewer.view.window());
    if (!large || now === this.seen) return;
    this.seen = now;
    this.refresh();
  }

  count() {
    const found = ["raw", "denoised"].map((kind) => ({ kind, parts: this.pixels(kind) ?? [] })).filter(({ parts }) => parts.length);
    if (!found.length) return;
    const all = found.flatMap(({ parts }) => parts);
    const [least, most] = extremes(all);
    const inner = found.map(({ parts }) => quantiles(parts, [OUTERMOST, 1 - OUTERMOST]));
    const [low, high] = [Math.min(...inner.map(([value]) => value)), Math.max(...inner.map(([, value]) => value))];
    const margin = this.full ? Infinity : high - low; // some hot pixels would push all others into one bin
    this.range = [Math.max(least, low - margin), Math.min(most, high + margin)];
    if (this.range[1] <= this.range[0]) this.range[1] = this.range[0] + 1;
    this.curves = found.map(({ kind, parts }) => ({ kind, ...this.binned(parts) }));
    const cut = this.range[0] > least || this.range[1] < most;
    this.note.textContent = [this.reduce && this.reduce > 1 && `of means of ${this.reduce} × ${this.reduce} px`, cut && `pixels from ${about(least)} to ${about(most)}`].filter(Boolean).join("; ");
    this.viewer.view.set({});
  }

  /** How many pixels each bin holds; those beyond the range are in none. Bins of whole numbers hold as many of them each: others would be a comb. @param {Float32Array[]} parts */
  binned(parts) {
    const [low, high] = this.range;
    const whole = parts.every(areWhole);
    const start = whole ? Math.ceil(low) - 0.5 : low;
    const width = whole ? Math.ceil((high - start) / BINS) : (high - start) / BINS;
    const counts = new Float64Array(Math.ceil((high - start) / width));
    for (const part of parts) for (const value of part) if (value >= low && value <= high) counts[Math.min(counts.length - 1, Math.floor((value - start) / width))]++;
    return { counts, start, width };
  }

  /** @param {number} [tails] */
  automatic(tails = TAILS) {
    const parts = this.pixels("denoised") ?? this.pixels("raw");
    if (!parts) return;
    const [low, high] = tails ? quantiles(parts, [tails, 1 - tails]) : extremes(parts);
    this.viewer.view.set({ low, high: high > low ? high : low + 1 });
    this.levelResidual();
    if (this.full !== (tails === 0)) {
      this.full = tails === 0;
      this.count();
    }
  }

  levelResidual() {
    const { view } = this.viewer;
    this.sameLabel.hidden = ![...this.viewer.sources.values()].some(({ kind }) => kind === "residual");
    const parts = this.pixels("residual");
    if (!parts) return void view.set({ residualHalf: (view.high - view.low) / 2 });
    const [low, middle, high] = quantiles(parts, [TAILS, 0.5, 1 - TAILS]);
    const half = this.same.checked ? (view.high - view.low) / 2 : Math.max(high - middle, middle - low);
    view.set({ residualHalf: half || 1, residualCentre: Math.abs(middle) > half ? middle : 0 });
  }

  draw() {
    this.follow();
    const { view } = this.viewer;
    const [height, width] = [this.box.clientHeight, this.box.clientWidth];
    if (!width) return;
    const density = Math.min(devicePixelRatio || 1, 2);
    if (this.canvas.width !== width * density) Object.assign(this.canvas, { width: width * density, height: height * density });
    const context = this.canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, width, height);
    const most = Math.max(...this.curves.map(({ counts, width: step }) => Math.max(...counts) / step)) || 1; // pixels a count
    const at = (/** @type {number} */ value) => ((value - this.range[0]) / (this.range[1] - this.range[0])) * width;
    for (const { kind, counts, start, width: step } of this.curves) {
      context.beginPath();
      context.moveTo(0, height);
      counts.forEach((count, bin) => context.lineTo(at(start + (bin + 0.5) * step), height - Math.sqrt(count / step / most) * (height - 6)));
      context.lineTo(width, height);
      const colour = style.getPropertyValue(`--${kind}`);
      Object.assign(context, { strokeStyle: colour, lineWidth: 1.5, fillStyle: colour });
      context.globalAlpha = 0.22;
      context.fill();
      context.globalAlpha = 1;
      context.stroke();
    }
    ["low", "high"].forEach((which, index) => {
      const handle = this.handles[index];
      const share = (view[which] - this.range[0]) / (this.range[1] - this.range[0]);
      handle.style.left = `${100 * Math.min(1, Math.max(0, share))}%`;
      for (const [name, value] of [["now", view[which]], ["min", this.range[0]], ["max", this.range[1]], ["text", `${about(view[which])} counts`]]) handle.setAttribute(`aria-value${name}`, String(value));
      if (document.activeElement !== this.inputs[index]) this.inputs[index].value = about(view[which], 6);
    });
  }
}

/** Whether an image holds whole numbers, as its pixels at equal steps tell. @param {Float32Array} pixels */
function areWhole(pixels) {
  const step = Math.max(1, Math.floor(pixels.length / SAMPLES));
  for (let at = 0; at < pixels.length; at += step) if (!Number.isInteger(pixels[at])) return false;
  return true;
}
