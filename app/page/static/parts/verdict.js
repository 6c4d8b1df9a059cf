// What can be said of a result without a truth: in words, with the numbers they rest on.

import { h } from "./dom.js";
import { about } from "./words.js";
import { squareAround, transform } from "../viewer/transforms.js";

const LITTLE = 0.05; // of a lattice's amplitude: removing that much changes no conclusion
const MUCH = 0.2;
const STRONG = 4; // times what noise alone reaches
const HARDLY = 0.1; // correlation between neighbours of a residual up to which it is nearly white

/** @typedef {{ highest: number, bound: number, period: number | null, white: { largest: number, bound: number }, share: number | null }} Structure */

/**
 * Whether a residual is white and whether a lattice stands out of it, in its middle square: the tests of
 * `reucid_core.metrics`, for which the noise is white.
 * @param {{ residual: any, raw: any }} pyramids @param {number[]} shape @returns {Promise<Structure>}
 */
export async function structureOf({ residual, raw }, shape) {
  const { side, box } = squareAround(shape[0] / 2, shape[1] / 2, shape, shape);
  await residual.open();
  const { pixels } = await residual.region(box);
  const found = await transform(pixels, side, { peaks: 1, white: true });
  const [row, column, height] = found.peaks.highest ?? [0, 0, 0];
  let share = null;
  if (height) {
    await raw.open();
    const image = await transform((await raw.region(box)).pixels, side);
    const at = ((row + side / 2) % side) * side + ((column + side / 2) % side);
    share = Math.sqrt((10 ** found.image[at] - 1) / Math.max(1e-30, 10 ** image.image[at] - 1));
  }
  return { highest: height, bound: found.peaks.bound, period: height ? side / Math.hypot(row, column) : null, white: found.white, share };
}

/** @param {any} report of an image or a frame @param {Structure | null} structure as measured in the page */
export function verdictOf(report, structure) {
  const { level, title, sentences, meters } = judged(report, structure);
  return h("section", { class: `card verdict ${level}`, "aria-label": "Verdict", "data-level": level },
    h("h2", {}, h("span", { "aria-hidden": "true" }, { good: "✓", look: "◐", bad: "!" }[level]), title),
    h("ul", {}, sentences.map((each) => h("li", {}, each))),
    meters.map(({ name, value, most, mark, text }) => h("div", { class: "small" }, h("div", { class: "row spread" }, h("span", {}, name), h("b", {}, text)), meter(value / most, mark === null ? null : mark / most))));
}

/** @param {number} share @param {number | null} mark */
function meter(share, mark) {
  const bar = h("i");
  const limit = mark === null ? null : h("b");
  bar.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
  if (limit) limit.style.left = `${100 * Math.min(1, mark ?? 1)}%`;
  return h("div", { class: "meter", "aria-hidden": "true" }, bar, limit);
}

/** @param {any} report @param {Structure | null} structure @returns {{ level: "good" | "look" | "bad", title: string, sentences: string[], meters: any[] }} */
export function judged(report, structure) {
  const told = report.assessment;
  const nothing = report.stack_reports.some((/** @type {any} */ each) => each.nothing_useful);
  const sentences = told ? told.sentences.map(sentence) : [];
  const meters = [];
  let level = /** @type {"good" | "look" | "bad"} */ ("good");
  const worse = (/** @type {"look" | "bad"} */ to) => { if (level !== "bad") level = to; };
  if (told) {
    meters.push({ name: "Noise removed", value: told.noise_removed, most: 1, mark: null, text: `${Math.round(100 * told.noise_removed)} %` }, { name: "Structure in the residual", value: told.structure, most: 2 * told.bound, mark: told.bound, text: `${about(told.structure, 3)}, noise stays below ${about(told.bound, 3)}` });
    if (told.structure > told.bound) worse(told.structure > STRONG * told.bound ? "bad" : "look");
    if (told.noise_removed < 0.5) worse("look");
    if (told.noise_removed >= 0.5 && told.gain > 0) sentences.push(`Estimated gain: ${about(told.gain, 3)} dB.`);
    if (report.noise && !report.noise.certain) {
      worse("look");
      sentences.push("How strong the noise is could not be told with certainty in this image.");
    }
  } else {
    const removed = report.stack_reports.map((/** @type {any} */ each) => 1 - each.kept.filter(Boolean).length / report.patch_size ** 2);
    const least = Math.min(...removed);
    sentences.push(`At least ${Math.floor(100 * least)} % of white noise is gone: of the ${report.patch_size ** 2} dimensions of a patch, ${Math.round((1 - least) * report.patch_size ** 2)} were kept.`);
    meters.push({ name: "White noise removed, at least", value: least, most: 1, mark: null, text: `${Math.floor(100 * least)} %` });
    if (least < 0.5) worse("look");
    if (structure) {
      const found = structure.highest > structure.bound;
      const share = found ? structure.share ?? 1 : 0;
      meters.push({ name: "Lattice lost to the residual", value: share, most: 2 * MUCH, mark: MUCH, text: found ? `${about(100 * share, 2)} % of its amplitude` : "none" });
      if (found) {
        if (share > LITTLE) worse(share > MUCH ? "bad" : "look");
        const lost = `${about(100 * share, 2)} % of what repeats every ${about(/** @type {number} */ (structure.period), 3)} px`;
        sentences.push(share > LITTLE ? `The residual holds ${lost}: signal was removed.` : `The residual holds ${lost}: too little to matter.`);
      } else sentences.push("Nothing that repeats stands out of the residual.");
      const { largest, bound } = structure.white;
      if (largest > bound && largest <= HARDLY) sentences.push(`The residual is nearly white: pixels hang together by ${about(100 * largest, 2)} %.`);
      else if (largest > bound) {
        worse("look");
        sentences.push("The residual is not white: neighbouring pixels hang together. On raw scans that is the scan's own noise; the method “raw scan” measures it.");
      } else sentences.push("The residual is white, as pure noise would be.");
    }
  }
  if (nothing) {
    worse("bad");
    sentences.push("No eigenpatch was found useful: this result holds little more than the mean of its surroundings.");
  }
  if (report.uncovered_pixels) {
    worse("look");
    sentences.push(`${report.uncovered_pixels} pixels were not reached and hold their raw values.`);
  }
  if (!report.complete && report.complete !== undefined) {
    worse("look");
    sentences.push("It was stopped early: fewer patches were used than there are.");
  }
  if (report.warnings.length) worse("look");
  const title = { good: "Looks sound", look: "Look closer", bad: "Do not trust this yet" }[level];
  return { level, title, sentences, meters };
}

/** @param {string} text */
const sentence = (text) => text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
