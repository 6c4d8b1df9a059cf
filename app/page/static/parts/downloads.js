// Everything that a job yields, to keep.

import { ask, key, address } from "./api.js";
import { button, h } from "./dom.js";
import { notice } from "./notices.js";
import { explain } from "./words.js";

const FORMATS = [["tiff", ".tif", "TIFF, calibrated"], ["npy", ".npy", "NumPy"], ["mrc", ".mrc", "MRC2014"], ["hspy", ".hspy", "HyperSpy"], ["png", ".png", "PNG, for slides"]];

/** @param {string} path @param {string} name file name @param {RequestInit & { json?: any }} [options] */
export async function download(path, name, options) {
  try {
    let href = address(path);
    if (key.get() || options) href = URL.createObjectURL(await (await ask(path, options)).blob());
    h("a", { href, download: name }).click();
    if (href.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(href), 60000);
  } catch (error) {
    const { title, detail } = explain(error);
    notice(`${title}. ${detail}`, { bad: true });
  }
}

/** A button that opens a list of buttons. @param {string} label @param {string} title @param {[string, string, () => void][]} entries text, title, what it does */
export function menu(label, title, entries) {
  const list = h("div", { hidden: true }, entries.map(([text, hint, act]) => button(text, hint, () => { open(false); act(); })));
  const toggle = button(`${label} ▾`, title, () => open(list.hidden), { "aria-expanded": "false", "aria-haspopup": "true" });
  const element = h("div", { class: "menu" }, toggle, list);
  const outside = (/** @type {Event} */ event) => { if (!element.contains(/** @type {Node} */ (event.target))) open(false); };
  /** @param {boolean} wanted */
  function open(wanted) {
    list.hidden = !wanted;
    toggle.setAttribute("aria-expanded", String(wanted));
    if (wanted) {
      document.addEventListener("pointerdown", outside);
      list.querySelector("button")?.focus();
    } else document.removeEventListener("pointerdown", outside);
  }
  element.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const buttons = [...list.querySelectorAll("button")];
    const at = buttons.indexOf(/** @type {any} */ (document.activeElement));
    const way = /** @type {Record<string, number>} */ ({ ArrowDown: 1, ArrowUp: -1 })[event.key];
    if (event.key === "Escape") { open(false); toggle.focus(); }
    else if (way && at >= 0) { event.preventDefault(); buttons[(at + way + buttons.length) % buttons.length].focus(); }
  });
  element.addEventListener("focusout", (/** @type {FocusEvent} */ event) => { if (event.relatedTarget && !element.contains(/** @type {Node} */ (event.relatedTarget))) open(false); });
  return element;
}

/** @param {any} job @param {string} stem of the file names */
export function downloads(job, stem) {
  const here = `v1/jobs/${job.id}`;
  const images = (/** @type {string} */ what, /** @type {string} */ title) => FORMATS.map(([format, suffix, text]) => /** @type {[string, string, () => void]} */ ([`${title}: ${text}`, `Save the ${what} as ${text}`, () => download(`${here}/${what}?format=${format}`, `${stem}-${what}${suffix}`)]));
  return menu("Save", "Save result, residual, report or everything in one file", [
    ...images("result", "Result"), ...images("residual", "Residual").slice(0, 3),
    ["Report: JSON", "Save the report on all eigenpatches", () => download(`${here}/report`, `${stem}-report.json`)],
    ["Report: CSV", "Save the report as a table", () => download(`${here}/report`, `${stem}-report.csv`, { headers: { Accept: "text/csv" } })],
    ["Laboratory notebook: .eln", "Everything for an electronic laboratory notebook", () => download(`${here}/bundle.eln`, `${stem}.eln`)],
    ["Bundle, for “reucid verify”", "Input, result, residual, report, eigenpatches and provenance in one file that anyone can check", () => download(`${here}/bundle.zip`, `${stem}.zip`)],
  ]);
}
