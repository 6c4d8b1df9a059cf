// One view: its canvas, what lies over the image, and what mouse, fingers and keys do to it.

import { h } from "../parts/dom.js";
import { draw as drawMarks } from "./marks.js";

/** @typedef {import("./view.js").View} View */
/** @typedef {import("./gl.js").Shown} Shown */
/** @typedef {{ draw(canvas: HTMLCanvasElement, shown: Shown, look: any, density: number): boolean }} Painter */

const STEP = 0.15; // of a pane, that an arrow key pans
const KEY_ZOOM = 1.25;

export class Pane {
  /**
   * @param {View} view @param {string} name accessible name @param {string} title
   * @param {string} kind raw, denoised, residual or other: its colour
   */
  constructor(view, name, title, kind) {
    this.view = view;
    this.name = name;
    this.kind = kind;
    this.canvas = h("canvas", { role: "img", "aria-label": name, tabindex: 0, title: "Drag to pan, wheel to zoom; arrows, + and −; Shift with arrows moves the cursor", "data-name": name });
    this.tag = h("span", { class: "tag" }, title);
    this.veil = h("div", { class: "veil" }, "Loading…");
    this.element = h("figure", { class: `pane ${kind}` }, this.canvas, h("figcaption", {}, this.tag), this.veil);
    /** @type {Shown | null} */
    this.shown = null;
    /** @type {{ overlays: import("./overlays.js").Overlay[], scale: any }} */
    this.over = { overlays: [], scale: null };
    /** @type {Map<number, number[]>} */
    this.pointers = new Map();
    /** @type {(share: number) => void} moves the wipe's edge */
    this.wiped = () => {};
    this.listen();
  }

  /** Device px per CSS px. */
  get density() {
    return Math.min(devicePixelRatio || 1, 2);
  }

  get size() {
    return [this.canvas.clientHeight, this.canvas.clientWidth];
  }

  /** @param {string} title */
  retitle(title) {
    this.tag.textContent = title;
  }

  /** @param {string} text nothing: the image is there */
  say(text) {
    this.veil.textContent = text;
    this.veil.hidden = text === "";
  }

  /** @param {Painter | null} painter @param {any} look */
  paint(painter, look) {
    const { density } = this;
    const [height, width] = this.size;
    const [tall, wide] = [Math.round(height * density), Math.round(width * density)];
    if (!tall || !wide) return;
    if (this.canvas.width !== wide || this.canvas.height !== tall) Object.assign(this.canvas, { width: wide, height: tall });
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    if (!painter || !this.shown) return void context.clearRect(0, 0, wide, tall);
    if (painter.draw(this.canvas, this.shown, look, density)) this.say("");
    else if (this.veil.hidden) this.say("Loading…"); // another image, such as the next frame
    drawMarks(context, density, this, look);
  }

  /** Image px under a point of the pane. @param {number} x CSS px @param {number} y */
  place(x, y) {
    const { view } = this;
    const [height, width] = this.size;
    return { row: view.row + (y - height / 2) / view.zoom, column: view.column + (x - width / 2) / view.zoom };
  }

  listen() {
    const { canvas, view } = this;
    canvas.addEventListener("wheel", (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      const at = this.place(event.offsetX, event.offsetY);
      view.zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0018)), at.row, at.column);
    }, { passive: false });
    canvas.addEventListener("dblclick", () => view.fit());
    canvas.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
      this.start = this.place(event.offsetX, event.offsetY);
      const share = event.offsetX / this.size[1];
      this.wiping = this.shown?.how === "wipe" && Math.abs(share - (this.shown.wipe ?? 0)) * this.size[1] < 14;
    });
    canvas.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (/** @type {PointerEvent} */ event) => {
        this.pointers.delete(event.pointerId);
        this.wiping = false;
      });
    }
    canvas.addEventListener("pointerleave", () => view.set({ cursor: null }));
    canvas.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.press(event));
  }

  /** @param {PointerEvent} event */
  move(event) {
    const { view } = this;
    const before = this.pointers.get(event.pointerId);
    const at = this.place(event.offsetX, event.offsetY);
    const [rows, columns] = view.shape;
    const inside = at.row >= 0 && at.column >= 0 && at.row < rows && at.column < columns;
    view.set({ cursor: inside ? { row: Math.floor(at.row), column: Math.floor(at.column) } : null });
    if (!before) {
      this.canvas.style.cursor = this.shown?.how === "wipe" && Math.abs(event.offsetX - (this.shown.wipe ?? 0) * this.size[1]) < 14 ? "ew-resize" : "";
      return;
    }
    const now = [event.offsetX, event.offsetY];
    if (this.wiping) this.wiped(Math.min(1, Math.max(0, now[0] / this.size[1])));
    else if (this.pointers.size === 2) this.pinch(event.pointerId, before, now);
    else if (view.tool === "pan" || event.buttons & 4) view.moveTo(view.row - (now[1] - before[1]) / view.zoom, view.column - (now[0] - before[0]) / view.zoom);
    else this.drag(at);
    this.pointers.set(event.pointerId, now);
  }

  /** @param {{ row: number, column: number }} at */
  drag(at) {
    const { view } = this;
    const start = /** @type {{ row: number, column: number }} */ (this.start);
    const within = (/** @type {number} */ value, /** @type {number} */ length) => Math.min(length, Math.max(0, value));
    const [rows, columns] = view.shape;
    if (view.tool === "profile") {
      const ends = [[start.row, rows], [start.column, columns], [at.row, rows], [at.column, columns]].map(([value, length]) => Math.round(within(value - 0.5, length - 1) * 10) / 10);
      view.set({ line: ends });
    } else {
      const [top, bottom] = [start.row, at.row].map((value) => Math.round(within(value, rows))).sort((a, b) => a - b);
      const [left, right] = [start.column, at.column].map((value) => Math.round(within(value, columns))).sort((a, b) => a - b);
      if (bottom > top && right > left) view.set({ region: [top, left, bottom, right] });
    }
  }

  /** @param {number} moving @param {number[]} before @param {number[]} now */
  pinch(moving, before, now) {
    const [, other] = [...this.pointers].find(([id]) => id !== moving) ?? [0, now];
    const apart = (/** @type {number[]} */ a) => Math.hypot(a[0] - other[0], a[1] - other[1]) || 1;
    const middle = this.place((now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    this.view.zoomBy(apart(now) / apart(before), middle.row, middle.column);
    this.view.moveTo(this.view.row - (now[1] - before[1]) / 2 / this.view.zoom, this.view.column - (now[0] - before[0]) / 2 / this.view.zoom);
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const { view } = this;
    if (event.ctrlKey || event.metaKey) return;
    const [height, width] = this.size;
    const arrow = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (arrow && event.shiftKey) {
      const step = event.altKey ? 10 : 1;
      const { row, column } = view.cursor ?? { row: Math.floor(view.row), column: Math.floor(view.column) };
      const within = (/** @type {number} */ value, /** @type {number} */ length) => Math.min(length - 1, Math.max(0, value));
      view.set({ cursor: { row: within(row + step * arrow[0], view.shape[0]), column: within(column + step * arrow[1], view.shape[1]) } });
    } else if (arrow) view.moveTo(view.row + (arrow[0] * STEP * height) / view.zoom, view.column + (arrow[1] * STEP * width) / view.zoom);
    else if (event.key === "+" || event.key === "=") view.zoomBy(KEY_ZOOM);
    else if (event.key === "-") view.zoomBy(1 / KEY_ZOOM);
    else if (event.key === "0") view.fit();
    else if (event.key === "1") view.moveTo(view.row, view.column, 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
