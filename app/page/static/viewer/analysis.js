// What is measured in the images: profile of a line, statistics of a region, spectrum of what is in view.

import { button, fill, h, settled } from "../parts/dom.js";
import { about, exactly } from "../parts/words.js";
import { Profile } from "./profile.js";
import { Spectrum } from "./spectrum.js";

const TITLES = { profile: "Line profile", region: "Region", spectrum: "Spectrum" };

export class Analysis {
  /** @param {any} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    /** @type {keyof typeof TITLES} */
    this.tab = "profile";
    this.profile = new Profile(viewer);
    this.spectrum = new Spectrum(viewer);
    this.statistics = h("div");
    this.tabs = Object.entries(TITLES).map(([name, title]) => h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "measured", title: `Show ${title.toLowerCase()}`, onclick: () => this.open(name), "data-tab": name }, title));
    this.body = h("div", { role: "tabpanel", id: "measured", tabindex: 0 });
    this.element = h("section", { class: "card stack", "aria-label": "Measurements" }, h("div", { class: "row", role: "tablist", "aria-label": "Measurements" }, this.tabs), this.body);
    this.element.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.press(event));
    this.measure = settled(() => this.fillStatistics(), 60);
    /** @type {string} */
    this.seen = "";
    this.open("profile", false);
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const at = this.tabs.indexOf(/** @type {any} */ (event.target));
    const way = /** @type {Record<string, number>} */ ({ ArrowLeft: -1, ArrowRight: 1 })[event.key];
    if (at < 0 || !way) return;
    event.preventDefault();
    event.stopPropagation();
    const next = this.tabs[(at + way + this.tabs.length) % this.tabs.length];
    next.focus();
    this.open(next.dataset.tab);
  }

  /** @param {string} name @param {boolean} [start] whether a line or region is made where there is none */
  open(name, start = true) {
    this.tab = /** @type {keyof typeof TITLES} */ (name);
    for (const tab of this.tabs) {
      tab.setAttribute("aria-selected", String(tab.dataset.tab === name));
      tab.tabIndex = tab.dataset.tab === name ? 0 : -1;
    }
    const { view } = this.viewer;
    if (start && name === "profile" && !view.line) {
      const [top, left, bottom, right] = view.window();
      const row = Math.floor((top + bottom) / 2);
      view.set({ line: [row, left, row, Math.max(left + 1, right - 1)] });
    }
    if (start && name === "region" && !view.region) {
      const [top, left, bottom, right] = view.window();
      const [down, across] = [Math.floor((bottom - top) / 4), Math.floor((right - left) / 4)];
      view.set({ region: [top + down, left + across, Math.max(top + down + 1, bottom - down), Math.max(left + across + 1, right - across)] });
    }
    this.body.setAttribute("aria-labelledby", `tab-${name}`);
    fill(this.body, { profile: this.profile.element, region: this.statistics, spectrum: this.spectrum.element }[this.tab]);
    this.refresh();
  }

  /** Measure anew: other pixels. */
  refresh() {
    this.seen = "";
    this.follow();
  }

  /** Measure anew if what is measured has changed. */
  follow() {
    const { view, sources } = this.viewer;
    const there = [...sources.values()].map(({ name, pyramid }) => name + Number(Boolean(pyramid?.tiles.size))).join();
    const what = { profile: [view.line, view.width], region: [view.region], spectrum: view.window() }[this.tab];
    const now = JSON.stringify([this.tab, what, there]);
    if (now === this.seen) return;
    this.seen = now;
    if (this.tab === "profile") this.profile.measure();
    else if (this.tab === "region") this.measure();
    else this.spectrum.measure();
  }

  stop() {
    this.spectrum.stop();
  }

  async fillStatistics() {
    const { view, sources, signal, unit } = this.viewer;
    if (!view.region) return fill(this.statistics, h("p", { class: "quiet" }, "Choose “Region” above and drag a rectangle in an image."));
    const region = view.region;
    const [top, left, bottom, right] = region;
    const rows = [];
    let reduce = 1;
    for (const { title, kind, pyramid } of sources.values()) {
      if (!pyramid?.tiles.size) continue;
      const found = await pyramid.region(region);
      reduce = found.reduce;
      rows.push(h("tr", {}, h("th", { scope: "row" }, h("i", { class: `swatch ${kind}` }), title), statistics(found.pixels).map((value) => h("td", { class: "number" }, value))));
    }
    if (region !== view.region) return; // another one meanwhile
    const edges = ["first row", "first column", "end row", "end column"].map((name, index) => h("label", { class: "small" }, `${name} `, h("input", { type: "number", value: region[index], min: 0, max: view.shape[index % 2], title: `${name} of the region`, onchange: (/** @type {any} */ event) => this.edge(index, event.target.valueAsNumber) })));
    const focused = [...this.statistics.querySelectorAll("input")].indexOf(document.activeElement);
    const calibrated = signal.pixel_size ? `, ${about((bottom - top) * signal.pixel_size[0])} × ${about((right - left) * signal.pixel_size[1])} ${unit}` : "";
    fill(this.statistics,
      h("p", { class: "small" }, `${bottom - top} × ${right - left} px${calibrated}`, reduce > 1 && `; of means of ${reduce} × ${reduce} px`),
      h("div", { class: "tablewrap", tabindex: 0, role: "group", "aria-label": "Statistics of the region" }, h("table", {}, h("thead", {}, h("tr", {}, ["", "mean", "std", "min", "max", "median"].map((name) => h("th", { class: name && "number", scope: "col" }, name)))), h("tbody", {}, rows))),
      h("div", { class: "levels" }, edges, button("Clear", "Remove the region", () => { view.set({ region: null }); })));
    this.statistics.querySelectorAll("input")[focused]?.focus();
    this.statistics.dataset.measured = region.join();
  }

  /** @param {number} index @param {number} value */
  edge(index, value) {
    const { view } = this.viewer;
    const region = [...view.region];
    region[index] = Math.min(view.shape[index % 2], Math.max(0, Math.round(value)));
    if (region[2] > region[0] && region[3] > region[1]) view.set({ region });
    else this.refresh();
  }
}

/** Mean, standard deviation, least, largest, median. @param {Float32Array} pixels */
function statistics(pixels) {
  let sum = 0;
  for (const value of pixels) sum += value;
  const mean = sum / pixels.length;
  let squares = 0;
  for (const value of pixels) squares += (value - mean) ** 2;
  const sorted = pixels.slice().sort();
  const half = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  return [about(mean, 6), about(Math.sqrt(squares / pixels.length), 6), exactly(sorted[0]), exactly(sorted[sorted.length - 1]), about(median, 6)];
}
