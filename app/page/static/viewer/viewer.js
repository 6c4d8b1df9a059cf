// The linked views of one job, or of an image that is to be one, with all tools around them.

import { fill, h } from "../parts/dom.js";
import { explain, unitOf } from "../parts/words.js";
import { Renderer } from "./gl.js";
import { Histogram } from "./histogram.js";
import { scaleOf } from "./marks.js";
import { Pane } from "./pane.js";
import { Pictures } from "./pictures.js";
import { tick } from "./pyramid.js";
import { readout } from "./readout.js";
import { Toolbar } from "./toolbar.js";
import { View } from "./view.js";
import { Analysis } from "./analysis.js";

/** @typedef {import("./pyramid.js").Pyramid} Pyramid */
/** @typedef {{ name: string, title: string, kind: string, pyramid: Pyramid | null, waiting?: string, aside?: boolean }} Source pyramid: null while there is none; aside: only to compare with */

export class Viewer {
  /**
   * @param {any} signal what is known of what is shown: shape, pixel_size, unit
   * @param {AbortSignal} ended when the viewer is left
   */
  constructor(signal, ended) {
    this.signal = signal;
    this.scale = scaleOf(signal);
    this.view = new View(signal.shape.slice(-2));
    /** @type {Map<string, Source>} */
    this.sources = new Map();
    this.renderer = location.search.includes("webgl=no") ? null : Renderer.make();
    this.painter = this.renderer ?? new Pictures(() => this.view.set({}));
    /** @type {Pane[]} */
    this.panes = [];
    /** @type {"three" | "wipe" | "flicker" | "difference"} */
    this.mode = "three";
    this.pair = ["raw", "denoised"];
    this.wipe = 0.5;
    this.swapped = false; // which of the two a flicker shows
    /** @type {import("./overlays.js").Overlay[]} */
    this.overlays = [];
    this.toolbar = new Toolbar(this);
    this.histogram = new Histogram(this);
    this.analysis = new Analysis(this);
    this.place = h("div", { class: "panes" });
    this.values = h("div", { class: "readout", role: "status", "aria-live": "off" });
    this.element = h("section", { class: "stack", "aria-label": "Images" },
      !this.renderer && h("p", { class: "banner" }, "This browser has no WebGL2: the pictures are drawn by the server, and levels follow a moment later. All numbers are exact."),
      this.toolbar.element, this.place, this.values, h("div", { class: "below" }, this.histogram.element, this.analysis.element));
    this.view.addEventListener("change", () => this.draw());
    if (this.renderer) this.renderer.restored = () => this.view.set({});
    this.watch = new ResizeObserver(() => this.resize());
    const keys = (/** @type {KeyboardEvent} */ event) => this.toolbar.press(event);
    document.addEventListener("keydown", keys);
    ended.addEventListener("abort", () => {
      document.removeEventListener("keydown", keys);
      this.watch.disconnect();
      this.toolbar.stop();
      this.analysis.stop();
      for (const { pyramid } of this.sources.values()) pyramid?.close();
      this.renderer?.gl.getExtension("WEBGL_lose_context")?.loseContext();
    });
  }

  /** Show these, in this order. @param {Source[]} sources */
  show(sources) {
    const before = this.sources;
    this.sources = new Map(sources.map((each) => [each.name, each]));
    for (const [name, { pyramid }] of before) if (pyramid && this.sources.get(name)?.pyramid !== pyramid) pyramid.close();
    for (const { name, pyramid } of sources) {
      if (!pyramid || before.get(name)?.pyramid === pyramid) continue;
      pyramid.addEventListener("tile", () => { this.view.set({}); this.histogram.refresh(); });
      pyramid.open().then(() => { this.histogram.start(name); this.analysis.refresh(); this.view.set({}); }, (error) => { pyramid.error = error; this.view.set({}); });
    }
    if (!this.pair.every((name) => this.sources.get(name))) this.pair = [...this.sources.keys()].slice(0, 2);
    this.toolbar.refresh();
    this.arrange();
  }

  /** Show these over the images; what was switched off stays so. @param {import("./overlays.js").Overlay[]} overlays */
  lay(overlays) {
    const off = new Set(this.overlays.filter(({ on }) => !on).map(({ name }) => name));
    this.overlays = overlays.map((each) => ({ ...each, on: !off.has(each.name) }));
    this.toolbar.offer();
    this.view.set({});
  }

  /** Put one source in the place of another, such as an interim result. @param {string} name @param {Partial<Source>} change */
  replace(name, change) {
    this.show([...this.sources.values()].map((each) => (each.name === name ? { ...each, ...change } : each)));
  }

  /** @param {"three" | "wipe" | "flicker" | "difference"} mode */
  turnTo(mode) {
    this.mode = mode;
    this.arrange();
    this.toolbar.refresh();
  }

  /** The panes that the mode needs. */
  arrange() {
    const wanted = this.mode === "three" ? [...this.sources.values()].filter(({ aside }) => !aside).map(({ name, title, kind }) => ({ name, title, kind })) : [{ name: this.mode, title: "", kind: "other" }];
    if (wanted.map(({ name }) => name).join() !== this.panes.map(({ name }) => name).join()) {
      this.panes = wanted.map(({ name, title, kind }) => new Pane(this.view, name, title, kind));
      for (const pane of this.panes) pane.wiped = (share) => { this.wipe = share; this.view.set({}); };
      for (const { element } of this.panes) element.style.aspectRatio = `${this.view.shape[1]} / ${this.view.shape[0]}`;
      fill(this.place, this.panes.map(({ element }) => element));
      this.place.dataset.count = String(wanted.length);
      this.watch.disconnect();
      for (const { element } of this.panes) this.watch.observe(element);
    }
    if (this.mode === "three") for (const pane of this.panes) pane.retitle(/** @type {Source} */ (this.sources.get(pane.name)).title);
    this.resize();
  }

  resize() {
    const sizes = this.panes.map((pane) => pane.size).filter(([height, width]) => height && width);
    if (sizes.length) this.view.resize(Math.min(...sizes.map(([height]) => height)), Math.min(...sizes.map(([, width]) => width)));
  }

  draw() {
    tick();
    const { view } = this;
    for (const pane of this.panes) {
      pane.over = { overlays: this.overlays.filter(({ on, kinds }) => on && (this.mode !== "three" || kinds.includes(pane.kind))), scale: this.scale };
      const [first, second] = this.shownIn(pane);
      const problem = first?.pyramid?.error ?? second?.pyramid?.error;
      if (problem) pane.say(explain(problem).detail);
      else if (!first?.pyramid) pane.say(first?.waiting ?? "");
      const how = this.mode === "wipe" || this.mode === "difference" ? this.mode : "plain";
      pane.shown = first?.pyramid ? { first: first.pyramid, second: second?.pyramid, how, wipe: this.wipe } : null;
      pane.paint(this.painter, this.look(first, how));
    }
    fill(this.values, readout(this));
    this.toolbar.follow();
    this.histogram.draw();
    this.analysis.follow();
    this.element.dataset.zoom = String(view.zoom);
  }

  /** @param {Pane} pane @returns {(Source | undefined)[]} */
  shownIn(pane) {
    if (this.mode === "three") return [this.sources.get(pane.name)];
    const [a, b] = this.pair.map((name) => this.sources.get(name));
    if (this.mode === "flicker") {
      const now = this.swapped ? b : a;
      pane.retitle(now?.title ?? "");
      return [now];
    }
    pane.retitle(this.mode === "wipe" ? `${a?.title} | ${b?.title}` : `${a?.title} − ${b?.title}`);
    return [a, b];
  }

  /** How something is coloured. @param {Source | undefined} source @param {string} how */
  look(source, how) {
    const { view } = this;
    const place = { row: view.row, column: view.column, zoom: view.zoom };
    const signed = how === "difference" || (source?.kind === "residual" && how === "plain");
    if (!signed) return { ...place, low: view.low, high: view.high, map: view.map };
    const centre = how === "difference" ? 0 : view.residualCentre;
    return { ...place, low: centre - view.residualHalf, high: centre + view.residualHalf, map: view.residualMap };
  }

  get unit() {
    return unitOf(this.signal.unit);
  }
}
