// One image before it is denoised: what is in the file, a trial, and the start.

import { askJson, capabilities } from "../parts/api.js";
import { Choices } from "../parts/choices.js";
import { button, facts, fill, h } from "../parts/dom.js";
import { problem } from "../parts/problem.js";
import { attempt, discard, partOf } from "../parts/trial.js";
import { about, duration, shapeOf, size, unitOf } from "../parts/words.js";
import { paint } from "../viewer/colormaps.js";
import { quantiles } from "../viewer/quantiles.js";
import { Pyramid } from "../viewer/pyramid.js";
import { Viewer } from "../viewer/viewer.js";
import { askPixels } from "../parts/api.js";
import { structureOf, verdictOf } from "../parts/verdict.js";

const SMALL = 192; // px, of a signal's picture

/** @type {import("../main.js").View} */
export async function view(place, { at: id, signal }) {
  const [image, able] = await Promise.all([askJson(`v1/images/${id}`, { signal }), capabilities()]);
  let position = image.default_signal ?? 0;
  let frame = 0;
  let ending = new AbortController();
  signal.addEventListener("abort", () => ending.abort());
  const left = h("div", { class: "stack" });
  const right = h("div", { class: "stack" });
  fill(place, h("div", { class: "stack" }, h("div", { class: "row spread" }, h("h1", {}, image.name), h("a", { href: "#/", title: "Choose another file" }, "another file")), h("div", { class: "setup" }, left, right)));
  /** @type {Choices} */
  let choices;

  const open = () => {
    const chosen = image.signals[position];
    const path = `v1/images/${id}/pixels`;
    frame = 0;
    choices = new Choices(able, chosen, choices?.params);
    const one = h("input", { type: "checkbox", title: "Denoise only the frame that is shown", "aria-label": "Only the frame that is shown" });
    const frames = chosen.frames > 1 && h("div", { class: "card row" }, h("label", { for: "frame" }, "Frame"),
      h("input", { type: "range", id: "frame", min: 0, max: chosen.frames - 1, value: 0, title: "Frame that is shown", oninput: (/** @type {any} */ event) => { frame = Number(event.target.value); number.textContent = `${frame + 1} of ${chosen.frames}`; show(); } }),
      h("label", { class: "row", title: "Denoise only the frame that is shown" }, one, "only this one"));
    const number = h("output", { class: "quiet" }, `1 of ${chosen.frames}`);
    if (frames) frames.insertBefore(number, frames.lastChild);
    const stage = h("div", { class: "stack" });
    const tried = h("div", { class: "stack" });

    const show = () => {
      ending.abort();
      ending = new AbortController();
      const query = { signal: position, ...(chosen.frames > 1 ? { frame } : {}) };
      const viewer = new Viewer(chosen, ending.signal);
      viewer.show([{ name: "raw", title: chosen.frames > 1 ? `raw, frame ${frame + 1}` : "raw", kind: "raw", pyramid: new Pyramid(path, query, chosen.shape.slice(-2)) }]);
      const go = button("Try it on a part", "Denoise a part of the image now: the region that is marked, or the middle of what is in view", () => attemptHere(viewer, query, go, show));
      go.id = "trial";
      fill(stage, h("div", { class: "row" }, go, h("span", { class: "quiet small" }, "A trial takes the region that you mark with “Region”, or the middle of the view.")), viewer.element);
    };

    /** @param {Viewer} viewer @param {any} query @param {any} go @param {() => void} back */
    const attemptHere = async (viewer, query, go, back) => {
      go.disabled = true;
      go.textContent = "Trying…";
      const part = partOf(viewer.view);
      const started = performance.now();
      /** @type {any} */
      let job = null;
      try {
        job = await attempt(path, query, part, choices.params, id, ending.signal);
        if (job.state !== "succeeded") throw Object.assign(new Error(job.error?.detail ?? job.state), { status: 422 });
        const seconds = (performance.now() - started) / 1000;
        const report = await askJson(`v1/jobs/${job.id}/report`);
        ending.abort();
        ending = new AbortController();
        const shape = [part[2] - part[0], part[3] - part[1]];
        const trial = new Viewer({ ...chosen, shape }, ending.signal);
        const of = (/** @type {string} */ what) => new Pyramid(`v1/jobs/${job.id}/${what}`, {}, shape);
        trial.show([{ name: "raw", title: "raw", kind: "raw", pyramid: of("input") }, { name: "denoised", title: "denoised (trial)", kind: "denoised", pyramid: of("result") }, { name: "residual", title: "residual", kind: "residual", pyramid: of("residual") }]);
        ending.signal.addEventListener("abort", () => discard(job).catch(() => {}));
        fill(stage, h("div", { class: "row banner" }, h("span", {}, `Trial on ${shape.join(" × ")} px from row ${part[0]}, column ${part[1]}: ${duration(seconds)}.`), button("Back to the whole image", "Leave the trial", back), button("Try again", "With the choices as they are now", async () => { back(); document.getElementById("trial")?.click(); })), trial.element);
        const check = await structureOf({ residual: of("residual"), raw: of("input") }, shape).catch(() => null);
        fill(tried, verdictOf(report, check));
      } catch (error) {
        if (/** @type {Error} */ (error).name === "AbortError") return;
        fill(tried, problem(error));
        go.disabled = false;
        go.textContent = "Try it on a part";
        if (job) discard(job).catch(() => {});
      }
    };

    const start = button("Denoise", "Start the job", async () => {
      start.disabled = true;
      try {
        const params = { ...choices.params, ...(image.signals.length > 1 ? { signal: position } : {}), ...(one.checked ? { frame } : {}) };
        const job = await askJson("v1/jobs", { json: { image_id: id, params, ...choices.fields } });
        location.hash = `#/job/${job.id}`;
      } catch (error) {
        start.disabled = false;
        fill(tried, problem(error));
      }
    }, { class: "primary" });
    fill(left, frames, stage);
    fill(right, signalsOf(image, position, signal, (chosenNow) => { position = chosenNow; open(); }), h("section", { class: "card stack", "aria-label": "Choices" }, choices.element, start, tried),
      h("section", { class: "card", "aria-label": "File" }, h("h2", {}, "What the file says"), said(image, chosen)));
    show();
  };
  open();
}

/** @param {any} image @param {number} position @param {AbortSignal} signal @param {(position: number) => void} choose */
export function signalsOf(image, position, signal, choose) {
  if (image.signals.length < 2 && !image.skipped.length) return null;
  const cards = image.signals.map((/** @type {any} */ each, /** @type {number} */ index) => {
    const canvas = h("canvas", { "aria-hidden": "true" });
    picture(canvas, image.id, index, each, signal);
    return h("button", { type: "button", class: "choice", role: "radio", "aria-checked": String(index === position), title: `Denoise “${each.title}”`, onclick: () => choose(index) }, canvas, h("span", { class: "cut" }, each.title), h("span", { class: "quiet small" }, shapeOf(each.shape)));
  });
  return h("section", { class: "card", "aria-label": "Signals of the file" }, h("h2", {}, `${image.signals.length} images in this file`), h("div", { class: "choices", role: "radiogroup", "aria-label": "Signal" }, cards),
    image.skipped.length > 0 && h("details", {}, h("summary", { title: "Signals that are no images" }, `${image.skipped.length} not shown`), h("ul", {}, image.skipped.map((/** @type {any} */ each) => h("li", {}, `${each.title}: ${each.reason}`)))));
}

/** @param {HTMLCanvasElement} canvas @param {string} id @param {number} index @param {any} signal @param {AbortSignal} ended */
async function picture(canvas, id, index, signal, ended) {
  try {
    const [rows, columns] = signal.shape.slice(-2);
    const reduce = Math.min(128, 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(rows, columns) / SMALL))));
    const { pixels, shape } = await askPixels(`v1/images/${id}/pixels`, { signal: index, reduce, ...(signal.frames > 1 ? { frame: 0 } : {}) }, { signal: ended });
    const [low, high] = quantiles([pixels], [0.002, 0.998]);
    paint(canvas, pixels, shape, low, high, "gray");
  } catch (error) {
    canvas.title = String(/** @type {Error} */ (error).message);
  }
}

/** @param {any} image @param {any} signal */
export function said(image, signal) {
  const unit = unitOf(signal.unit);
  return h("div", { class: "stack" }, facts([
    ["format", image.format], ["size", size(image.size)], ["image", signal.title], ["shape", shapeOf(signal.shape)], ["numbers", signal.dtype],
    ["pixel", signal.pixel_size && `${about(signal.pixel_size[0])} × ${about(signal.pixel_size[1])} ${unit}`], ["detector", signal.detector], ["beam energy", signal.beam_energy && `${about(signal.beam_energy)} keV`],
    ["dwell time", signal.dwell_time && `${about(signal.dwell_time * 1e6)} µs`], ["dose", signal.dose && `${about(signal.dose)} e/Å²`], ["SHA-256", h("span", { class: "mono small" }, image.sha256.slice(0, 16), "…")],
  ]), signal.notes.length > 0 && h("ul", {}, signal.notes.map((/** @type {string} */ note) => h("li", {}, note))));
}
