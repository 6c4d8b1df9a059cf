// The tools above the views, and their keys.

import { button, fill, h, segmented, select } from "../parts/dom.js";
import { DIVERGING, MAPS } from "./colormaps.js";
import { save } from "./snapshot.js";

const FLICKER = 500; // ms
const MEANING = {
  departures: "Where the specimen departs from its lattice", uncovered: "Where no patch reached: the pixels are raw",
  hot: "Single pixels far from their neighbours, left out of what is learnt", drawn: "Bars, text and lost rows: no part of the scan, left as they are",
};

/** @typedef {import("./overlays.js").Overlay} Overlay */

/** Key, what it does; also shown in the help. */
export const KEYS = [
  ["arrows", "pan"], ["+  −", "zoom"], ["0", "whole image"], ["1", "one pixel of the image to one of the screen"],
  ["Shift + arrow", "move the cursor by a pixel (with Alt: by ten)"], ["S", "side by side"], ["W", "wipe"], ["F", "flicker"], ["D", "difference"],
  ["[  ]", "move the wipe's edge"], ["L", "line profile"], ["R", "region"], ["T", "spectrum"], ["A", "automatic levels"], ["O", "what is shown over the images"], ["C", "next colour map"],
  ["E", "views on the whole screen, and back"],
];

export class Toolbar {
  /** @param {any} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    const { view } = viewer;
    this.modes = segmented("Compare", [
      ["three", "Side by side", "All images side by side (S)"], ["wipe", "Wipe", "Two images with an edge to drag (W)"],
      ["flicker", "Flicker", "Two images in turn (F)"], ["difference", "Difference", "One image minus another (D)"],
    ], "three", (mode) => viewer.turnTo(mode));
    this.pair = h("span", { class: "row" });
    this.tools = segmented("Drag to", [
      ["pan", "Pan", "Drag moves the image"], ["profile", "Line", "Drag a line to see its profile (L)"], ["region", "Region", "Drag a rectangle to see its statistics (R)"],
    ], view.tool, (tool) => this.take(tool));
    this.maps = select("Colours", MAPS.map((name) => [name, name]), view.map, "Colours of the images (C)", (map) => view.set({ map }));
    this.residualMaps = select("Residual's colours", DIVERGING.map((name) => [name, name]), view.residualMap, "Colours of residual and difference", (residualMap) => view.set({ residualMap }));
    this.residual = h("label", {}, h("span", {}, "Residual"), this.residualMaps);
    this.overlays = h("div", { class: "group", role: "group", "aria-label": "Show over the images", hidden: true });
    this.element = h("div", { class: "tools", role: "toolbar", "aria-label": "Tools of the images" },
      this.modes, this.pair, this.tools,
      h("div", { class: "group", role: "group", "aria-label": "Zoom" }, h("span", {}, "Zoom"),
        button("−", "Zoom out (−)", () => view.zoomBy(0.8), { "aria-label": "Zoom out" }), button("+", "Zoom in (+)", () => view.zoomBy(1.25), { "aria-label": "Zoom in" }),
        button("Fit", "Show the whole image (0)", () => view.fit()), button("1:1", "One pixel of the image to one of the screen (1)", () => view.moveTo(view.row, view.column, 1))),
      h("label", {}, h("span", {}, "Colours"), this.maps), this.residual, this.overlays,
      h("div", { class: "group ends", role: "group", "aria-label": "Views" }, h("span", {}, "Views"),
        document.fullscreenEnabled && button("Full screen", "The views on the whole screen, and back (E)", () => this.enlarge()),
        button("Picture", "Save the views as they are drawn, with scale bars, as a PNG", () => save(viewer.panes, "view.png"))));
    this.timer = 0;
  }

  /** The choices that depend on which images there are. */
  refresh() {
    const { viewer } = this;
    this.modes.pick(viewer.mode);
    this.modes.hidden = viewer.sources.size < 2;
    this.residual.hidden = viewer.sources.size < 2;
    const options = /** @type {[string, string][]} */ ([...viewer.sources.values()].filter(({ pyramid }) => pyramid).map(({ name, title }) => [name, title]));
    const choose = (/** @type {number} */ which, /** @type {string} */ label) => select(label, options, viewer.pair[which], label, (name) => { viewer.pair[which] = name; viewer.view.set({}); });
    fill(this.pair, viewer.mode !== "three" && [choose(0, "First image"), viewer.mode === "difference" ? "−" : "and", choose(1, "Second image")]);
    if (viewer.mode === "flicker" && !this.timer) this.timer = window.setInterval(() => { viewer.swapped = !viewer.swapped; viewer.view.set({}); }, FLICKER);
    if (viewer.mode !== "flicker") this.stop();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
  }

  /** What follows the view. */
  follow() {
    this.maps.value = this.viewer.view.map;
  }

  /** A switch for each kind of pixels that can be shown over the images. */
  offer() {
    const { overlays } = this.viewer;
    this.overlays.hidden = !overlays.length;
    fill(this.overlays, h("span", {}, "Over it"), overlays.map((/** @type {Overlay} */ each) => h("button", { type: "button", title: `${MEANING[/** @type {keyof typeof MEANING} */ (each.name)]} (O: all)`, "aria-pressed": String(each.on), onclick: () => this.turn([each], !each.on) }, h("i", { class: `swatch ${each.name}` }), each.title)));
  }

  /** @param {Overlay[]} overlays @param {boolean} on */
  turn(overlays, on) {
    for (const each of overlays) each.on = on;
    const focus = [...this.overlays.children].indexOf(/** @type {Element} */ (document.activeElement));
    this.offer();
    if (focus > 0) /** @type {HTMLElement} */ (this.overlays.children[focus]).focus();
    this.viewer.view.set({});
  }

  turnOverlays() {
    const { overlays } = this.viewer;
    this.turn(overlays, !overlays.some((/** @type {Overlay} */ { on }) => on));
  }

  /** @param {string} tool */
  take(tool) {
    const { viewer } = this;
    viewer.view.set({ tool });
    this.tools.pick(tool);
    if (tool !== "pan") viewer.analysis.open(tool);
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const on = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || on.matches("input, select, textarea, dialog *")) return;
    const { viewer } = this;
    const { view } = viewer;
    /** @type {Record<string, () => void>} */
    const actions = {
      s: () => viewer.turnTo("three"), w: () => viewer.turnTo("wipe"), f: () => viewer.turnTo("flicker"), d: () => viewer.turnTo("difference"),
      l: () => this.take(view.tool === "profile" ? "pan" : "profile"), r: () => this.take(view.tool === "region" ? "pan" : "region"), t: () => viewer.analysis.open("spectrum"),
      a: () => viewer.histogram.automatic(), o: () => this.turnOverlays(), c: () => view.set({ map: MAPS[(MAPS.indexOf(view.map) + 1) % MAPS.length] }),
      e: () => this.enlarge(), "[": () => this.wipe(-0.05), "]": () => this.wipe(0.05),
      0: () => view.fit(), 1: () => view.moveTo(view.row, view.column, 1), "+": () => view.zoomBy(1.25), "=": () => view.zoomBy(1.25), "-": () => view.zoomBy(0.8),
    };
    const act = actions[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  }

  enlarge() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.viewer.element.requestFullscreen?.();
  }

  /** @param {number} by share of the width */
  wipe(by) {
    const { viewer } = this;
    viewer.wipe = Math.min(1, Math.max(0, viewer.wipe + by));
    viewer.view.set({});
  }
}
