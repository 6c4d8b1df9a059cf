// What can be said of a result without a truth: in words, with the numbers they rest on.

import { h } from "./dom.js";
import { about } from "./words.js";
import { free } from "../viewer/pyramid.js";
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
    free(image.image);
  }
  free(found.image);
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

/** @typedef {"good" | "look" | "bad"} Level */

/** @param {any} report @param {Structure | null} structure @returns {{ level: Level, title: string, sentences: string[], meters: any[] }} */
export function judged(report, structure) {
  const found = [report.assessment ? assessed(report) : counted(report), structure && report.method !== "two-scale" ? examined(structure, report.assessment) : null, others(report)].filter((each) => each !== null);
  const order = /** @type {Level[]} */ (["good", "look", "bad"]);
  const level = order[Math.max(...found.map((each) => order.indexOf(each.level)))];
  const title = { good: "Looks sound", look: "Look closer", bad: "Do not trust this yet" }[level];
  return { level, title, sentences: found.flatMap(({ sentences }) => sentences), meters: found.flatMap(({ meters }) => meters) };
}

/** @typedef {{ level: Level, sentences: string[], meters: any[] }} Finding */

/** What the software says of its result. @param {any} report @returns {Finding} */
function assessed({ assessment: told, verdict, warnings, method, noise }) {
  /** @type {string[]} */
  const said = verdict ?? told.sentences ?? [];
  const doubts = said.filter((each) => warnings.includes(each));
  const strong = method === "two-scale" && told.structure > STRONG * told.bound;
  const sentences = said.map(sentence);
  if (told.noise_removed >= 0.5 && told.gain > 0) sentences.push(`Estimated gain: ${about(told.gain, 3)} dB.`);
  const uncertain = noise && !noise.certain;
  if (uncertain) sentences.push("How strong the noise is could not be told with certainty in this image.");
  const meters = [{ name: "Noise removed", value: told.noise_removed, most: 1, mark: null, text: `${Math.round(100 * told.noise_removed)} %` }];
  if (method === "two-scale") meters.push({ name: "Structure in the residual", value: told.structure, most: 2 * told.bound, mark: told.bound, text: `${about(told.structure, 3)} (noise: below ${about(told.bound, 3)})` });
  if (typeof told.finest_kept === "number") meters.push({ name: `Finest detail kept, ${about(told.finest, 2)} px`, value: told.finest_kept, most: 1, mark: null, text: `${Math.round(100 * Math.min(1, told.finest_kept))} %` });
  return { level: strong ? "bad" : doubts.length || uncertain ? "look" : "good", sentences, meters };
}

/** Without an assessment: at least so much of white noise is gone, since so many dimensions are. @param {any} report @returns {Finding} */
function counted({ stack_reports: stacks, patch_size: side }) {
  const least = Math.min(...stacks.map((/** @type {any} */ each) => 1 - each.kept.filter(Boolean).length / side ** 2));
  return {
    level: least < 0.5 ? "look" : "good",
    sentences: [`At least ${Math.floor(100 * least)} % of white noise is gone: of the ${side ** 2} dimensions of a patch, ${Math.round((1 - least) * side ** 2)} were kept.`],
    meters: [{ name: "White noise removed, at least", value: least, most: 1, mark: null, text: `${Math.floor(100 * least)} %` }],
  };
}

/** What the page finds in the residual, for which noise is white; the software's own test, where there is one, knows streaks of the scan from a lattice. @param {Structure} structure @param {{ structure: number, bound: number } | null} told @returns {Finding} */
function examined({ highest, bound, period, share: part, white }, told) {
  const none = told !== null && told !== undefined && told.structure <= told.bound;
  const stands = !none && highest > bound;
  const share = stands ? part ?? 1 : 0;
  const lost = `${about(100 * share, 2)} % of what repeats every ${about(period ?? 0, 3)} px`;
  const lattice = !stands ? "No lattice stands out of the residual." : share > LITTLE ? `The residual holds ${lost}: signal was removed.` : `The residual holds ${lost}: too little to matter.`;
  const even = white.largest <= white.bound ? "The residual is white, as pure noise would be."
    : white.largest <= HARDLY ? `The residual is nearly white: pixels hang together by ${about(100 * white.largest, 2)} %.`
    : "The residual is not white: neighbouring pixels hang together. On raw scans that is the scan's own noise; the method “raw scan” measures it.";
  return {
    level: share > MUCH ? "bad" : share > LITTLE || white.largest > Math.max(white.bound, HARDLY) ? "look" : "good",
    sentences: none ? [even] : [lattice, even],
    meters: [{ name: "Lattice lost to the residual", value: share, most: 2 * MUCH, mark: MUCH, text: stands ? `${about(100 * share, 2)} % of its amplitude` : "none" }],
  };
}

/** What else is to be known. @param {any} report @returns {Finding} */
function others({ stack_reports: stacks, uncovered_pixels: uncovered, complete, warnings, verdict }) {
  const sentences = [];
  const nothing = stacks.some((/** @type {any} */ each) => each.nothing_useful);
  if (nothing) sentences.push("No eigenpatch was found useful: this result holds little more than the mean of its surroundings.");
  if (uncovered) sentences.push(`${uncovered} pixels were not reached and hold their raw values.`);
  if (complete === false) sentences.push("It was stopped early: fewer patches were used than there are.");
  const unsaid = warnings.filter((/** @type {string} */ each) => !(verdict ?? []).includes(each)).length;
  if (unsaid && !sentences.length) sentences.push(unsaid === 1 ? "There is a warning to be read, below." : `There are ${unsaid} warnings to be read, below.`);
  return { level: nothing ? "bad" : sentences.length || warnings.length ? "look" : "good", sentences, meters: [] };
}

/** @param {string} text */
const sentence = (text) => text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
