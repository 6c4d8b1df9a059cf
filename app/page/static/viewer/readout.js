// The numbers under the cursor: those of the files, digit for digit.

import { h } from "../parts/dom.js";
import { about, exactly } from "../parts/words.js";

/** @param {any} viewer @returns {any[]} */
export function readout(viewer) {
  const { view, signal } = viewer;
  const zoom = h("span", { class: "quiet" }, `${about(100 * view.zoom, 3)} %`);
  if (!view.cursor) return [zoom, h("span", { class: "quiet" }, "Point at a pixel, or press Shift with an arrow, to read its values")];
  const { row, column } = view.cursor;
  const place = signal.pixel_size ? ` (${about(row * signal.pixel_size[0])}, ${about(column * signal.pixel_size[1])} ${viewer.unit})` : "";
  const values = [...viewer.sources.values()].filter(({ pyramid }) => pyramid).map(({ name, title, kind, pyramid }) => {
    const value = pyramid.value(row, column);
    return h("span", { class: "nowrap", "data-value": name }, h("i", { class: `swatch ${kind}` }), `${title} `, h("b", {}, value === null ? "…" : exactly(value)));
  });
  return [zoom, h("span", { class: "nowrap", "data-value": "place" }, `row ${row}, column ${column}${place}`), ...values, h("span", { class: "quiet" }, "counts")];
}
