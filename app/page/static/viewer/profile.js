// Profile of a line in all images: bilinear, one sample a pixel, averaged over the line's width.

import { button, fill, h, settled } from "../parts/dom.js";
import { about } from "../parts/words.js";
import { axis, colour, plotting } from "./plots.js";

const HEIGHT = 260; // px
const BELOW = 0.32; // share of the height that the residual has for itself, under the others
const GAP = 0.04;

export class Profile {
  /** @param {any} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.plot = h("div", { class: "plot" });
    this.hint = h("p", { class: "quiet" }, "Choose “Line” above and drag in an image, or press L.");
    this.controls = h("div", { class: "levels" });
    this.element = h("div", { "data-part": "profile" }, this.hint, this.plot, this.controls);
    this.measure = settled(() => this.sample(), 40);
    this.run = 0;
  }

  async sample() {
    const { view, sources, signal, unit } = this.viewer;
    const { line, width } = view;
    this.hint.hidden = Boolean(line);
    if (!line) return fill(this.plot);
    const run = ++this.run;
    const length = Math.hypot(line[2] - line[0], line[3] - line[1]);
    const count = Math.max(2, Math.round(length) + 1);
    const step = signal.pixel_size ? Math.hypot(((line[2] - line[0]) * signal.pixel_size[0]) / (count - 1), ((line[3] - line[1]) * signal.pixel_size[1]) / (count - 1)) : length / (count - 1);
    const shown = [...sources.values()].filter(({ pyramid }) => pyramid?.tiles.size);
    const values = await Promise.all(shown.map(({ pyramid }) => along(pyramid, line, width, count, view.shape)));
    const uPlot = await plotting();
    if (run !== this.run) return;
    const data = [Float64Array.from({ length: count }, (_, index) => index * step), ...values];
    this.element.dataset.measured = [...line, width].join();
    this.data = { titles: shown.map(({ name }) => name), data };
    this.draw(uPlot, shown, data, signal.pixel_size ? unit : "px");
    this.fillControls(line, width);
  }

  /** @param {any} uPlot @param {any[]} shown @param {any[]} data @param {string} unit */
  draw(uPlot, shown, data, unit) {
    const apart = shown.length > 1 && shown.some(({ kind }) => kind === "residual");
    /** @type {any} */
    const options = {
      width: Math.max(220, this.plot.clientWidth || 320), height: HEIGHT, scales: { x: { time: false }, y: apart ? { range: within(BELOW, GAP) } : {}, residual: { range: within(0, apart ? 1 - BELOW : 0) } }, cursor: { drag: { x: true, y: false } }, legend: { live: true },
      series: [{ label: `along, ${unit}`, value: (/** @type {any} */ _, /** @type {number | null} */ value) => (value === null ? "–" : about(value)) },
        ...shown.map(({ title, kind }) => ({ label: title, scale: kind === "residual" ? "residual" : "y", stroke: colour(kind), width: kind === "raw" ? 1 : 1.6, points: { show: false }, value: (/** @type {any} */ _, /** @type {number | null} */ value) => (value === null ? "–" : about(value, 6)) }))],
      axes: [axis({ label: `${unit} along the line`, labelSize: 18, size: 34 }), axis({ size: 62, label: "counts", labelSize: 16 }), axis({ scale: "residual", side: 1, size: 54, grid: { show: false }, stroke: colour("residual") })],
    };
    fill(this.plot);
    new uPlot(options, data, this.plot);
  }

  /** @param {number[]} line @param {number} width */
  fillControls(line, width) {
    const { view } = this.viewer;
    if (this.controls.contains(document.activeElement) && /** @type {Element} */ (document.activeElement).matches("input")) return;
    const end = (/** @type {string} */ name, /** @type {number} */ index) => h("label", { class: "small" }, `${name} `, h("input", { type: "number", step: "any", value: line[index], title: `${name} of the line, px`, onchange: (/** @type {any} */ event) => this.put(index, event.target.valueAsNumber) }));
    fill(this.controls, end("row 1", 0), end("column 1", 1), end("row 2", 2), end("column 2", 3),
      h("label", { class: "small" }, "width ", h("input", { type: "number", min: 1, max: 99, value: width, title: "Pixels across the line that are averaged", onchange: (/** @type {any} */ event) => view.set({ width: Math.min(99, Math.max(1, Math.round(event.target.valueAsNumber) || 1)) }) })),
      button("CSV", "Save the profile as a table", () => this.save()), button("Clear", "Remove the line", () => view.set({ line: null })));
  }

  /** @param {number} index @param {number} value */
  put(index, value) {
    const { view } = this.viewer;
    const line = [...view.line];
    line[index] = Math.min(view.shape[index % 2] - 1, Math.max(0, Number.isFinite(value) ? value : 0));
    view.set({ line });
  }

  save() {
    const { titles, data } = /** @type {any} */ (this.data);
    const rows = [["along", ...titles].join(), ...Array.from(data[0], (_, index) => data.map((/** @type {any} */ each) => each[index]).join())];
    const href = URL.createObjectURL(new Blob([rows.join("\n") + "\n"], { type: "text/csv" }));
    h("a", { href, download: "profile.csv" }).click();
    URL.revokeObjectURL(href);
  }
}

/** The range of an axis whose values keep free a share of the height below and above them. @param {number} below @param {number} above */
function within(below, above) {
  return (/** @type {any} */ _, /** @type {number} */ low, /** @type {number} */ high) => {
    const span = (high - low || 1) / (1 - below - above);
    return [low - below * span, high + above * span];
  };
}

/** @param {any} pyramid @param {number[]} line rows and columns of both ends @param {number} width px @param {number} count samples @param {number[]} shape */
export async function along(pyramid, line, width, count, shape) {
  const [r0, c0, r1, c1] = line;
  const length = Math.hypot(r1 - r0, c1 - c0) || 1;
  const normal = [(c1 - c0) / length, -(r1 - r0) / length]; // per px across: rows, columns
  const reach = (width - 1) / 2;
  const clip = (/** @type {number} */ value, /** @type {number} */ most) => Math.min(most, Math.max(0, value));
  const rows = [r0, r1].flatMap((row) => [row - reach, row + reach]);
  const columns = [c0, c1].flatMap((column) => [column - reach, column + reach]);
  const box = [clip(Math.floor(Math.min(...rows)), shape[0] - 1), clip(Math.floor(Math.min(...columns)), shape[1] - 1), clip(Math.ceil(Math.max(...rows)) + 1, shape[0]), clip(Math.ceil(Math.max(...columns)) + 1, shape[1])];
  const { pixels, shape: [tall, wide], reduce } = await pyramid.region(box);
  const at = (/** @type {number} */ row, /** @type {number} */ column) => {
    const y = clip((row - box[0] + 0.5) / reduce - 0.5, tall - 1);
    const x = clip((column - box[1] + 0.5) / reduce - 0.5, wide - 1);
    const [top, left] = [Math.floor(y), Math.floor(x)];
    const [bottom, right] = [Math.min(top + 1, tall - 1), Math.min(left + 1, wide - 1)];
    const [dy, dx] = [y - top, x - left];
    return (pixels[top * wide + left] * (1 - dx) + pixels[top * wide + right] * dx) * (1 - dy) + (pixels[bottom * wide + left] * (1 - dx) + pixels[bottom * wide + right] * dx) * dy;
  };
  return Float64Array.from({ length: count }, (_, index) => {
    const share = index / (count - 1);
    let sum = 0;
    for (let across = 0; across < width; across++) sum += at(r0 + share * (r1 - r0) + (across - reach) * normal[0], c0 + share * (c1 - c0) + (across - reach) * normal[1]);
    return sum / width;
  });
}
