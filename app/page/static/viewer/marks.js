// What lies over an image: overlays, cursor, line, region, the wipe's edge, scale bar.

import { unitOf } from "../parts/words.js";
import { drawOverlay } from "./overlays.js";

const ROUND = [1, 2, 5];
const SMALLER = { m: ["mm", 1e3], mm: ["µm", 1e3], "µm": ["nm", 1e3], nm: ["pm", 1e3] };
const LARGER = { pm: ["nm", 1e3], "Å": ["nm", 10], nm: ["µm", 1e3], "µm": ["mm", 1e3] };

/** @typedef {{ size: number, unit: string }} Scale size of a pixel along the row */

/** A length that looks good as a scale bar: round, and about a fifth of the pane. @param {number} pixel its size in the unit @param {string} unit @param {number} zoom @param {number} width CSS px of the pane */
export function bar(pixel, unit, zoom, width) {
  const aim = ((width / 5) * pixel) / zoom;
  const power = 10 ** Math.floor(Math.log10(aim));
  const length = Math.max(...ROUND.filter((each) => each * power <= aim * 1.0001)) * power;
  let [shown, name] = [length, unit];
  if (length < 1 && name in SMALLER) [name, shown] = [String(SMALLER[/** @type {keyof typeof SMALLER} */ (name)][0]), shown * Number(SMALLER[/** @type {keyof typeof SMALLER} */ (name)][1])];
  else if (length >= 1000 && name in LARGER) [name, shown] = [String(LARGER[/** @type {keyof typeof LARGER} */ (name)][0]), shown / Number(LARGER[/** @type {keyof typeof LARGER} */ (name)][1])];
  return { pixels: (length / pixel) * zoom, text: `${Number(shown.toPrecision(4))} ${name}` };
}

/** What a signal says of the size of its pixels. @param {{ pixel_size: number[] | null, unit: string | null }} signal @returns {Scale} */
export const scaleOf = (signal) => (signal.pixel_size ? { size: signal.pixel_size[1], unit: unitOf(signal.unit) } : { size: 1, unit: "px" });

/** @param {CanvasRenderingContext2D} context @param {number} density @param {any} pane @param {any} look */
export function draw(context, density, pane, look) {
  const { view, shown, over } = pane;
  const [height, width] = pane.size;
  context.save();
  context.scale(density, density);
  const x = (/** @type {number} */ column) => (column - look.column) * look.zoom + width / 2;
  const y = (/** @type {number} */ row) => (row - look.row) * look.zoom + height / 2;
  for (const overlay of over.overlays) drawOverlay(context, overlay, view, x, y, look.zoom);
  if (view.region) {
    const [top, left, bottom, right] = view.region;
    outlined(context, () => context.rect(x(left), y(top), (right - left) * look.zoom, (bottom - top) * look.zoom), "#ffd166");
  }
  if (view.line) {
    const [top, left, bottom, right] = view.line;
    outlined(context, () => { context.moveTo(x(left + 0.5), y(top + 0.5)); context.lineTo(x(right + 0.5), y(bottom + 0.5)); }, "#ff7ac6");
    for (const [row, column] of [[top, left], [bottom, right]]) outlined(context, () => context.arc(x(column + 0.5), y(row + 0.5), 4, 0, 7), "#ff7ac6");
  }
  if (view.cursor) {
    const [across, down] = [x(view.cursor.column + 0.5), y(view.cursor.row + 0.5)];
    outlined(context, () => {
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(across + 5 * dx, down + 5 * dy);
        context.lineTo(across + 12 * dx, down + 12 * dy);
      }
    }, "#ffffff");
    if (look.zoom >= 6) outlined(context, () => context.rect(across - look.zoom / 2, down - look.zoom / 2, look.zoom, look.zoom), "#ffffff");
  }
  if (shown.how === "wipe") {
    const edge = (shown.wipe ?? 0) * width;
    outlined(context, () => { context.moveTo(edge, 0); context.lineTo(edge, height); }, "#ffffff");
    outlined(context, () => { context.moveTo(edge - 5, height / 2 - 5); context.lineTo(edge - 10, height / 2); context.lineTo(edge - 5, height / 2 + 5); context.moveTo(edge + 5, height / 2 - 5); context.lineTo(edge + 10, height / 2); context.lineTo(edge + 5, height / 2 + 5); }, "#ffffff");
  }
  if (over.scale) drawBar(context, bar(over.scale.size, over.scale.unit, look.zoom, width), height);
  context.restore();
}

/** @param {CanvasRenderingContext2D} context @param {() => void} trace @param {string} colour */
function outlined(context, trace, colour) {
  for (const [width, stroke] of /** @type {[number, string][]} */ ([[3.5, "rgb(0 0 0 / 70%)"], [1.5, colour]])) {
    context.beginPath();
    trace();
    Object.assign(context, { lineWidth: width, strokeStyle: stroke });
    context.stroke();
  }
}

/** @param {CanvasRenderingContext2D} context @param {{ pixels: number, text: string }} scale @param {number} height */
function drawBar(context, { pixels, text }, height) {
  context.font = "600 13px system-ui, sans-serif";
  const wide = Math.max(pixels, context.measureText(text).width);
  context.fillStyle = "rgb(0 0 0 / 60%)";
  context.beginPath();
  context.roundRect(8, height - 40, wide + 16, 32, 5);
  context.fill();
  context.fillStyle = "#ffffff";
  context.fillText(text, 16, height - 22);
  context.fillRect(16, height - 16, pixels, 4);
}
