// A result: the linked views, the verdict beside them, and below the eigenpatches it rests on.

import { askJson } from "../parts/api.js";
import { askNumbers } from "../parts/npy.js";
import { button, facts, fill, h } from "../parts/dom.js";
import { problem } from "../parts/problem.js";
import { structureOf, verdictOf } from "../parts/verdict.js";
import { about as number, decisions } from "../parts/words.js";
import { ofPlaces, ofRuns } from "../viewer/overlays.js";
import { Pyramid } from "../viewer/pyramid.js";
import { Viewer } from "../viewer/viewer.js";
import { Eigenpatches } from "./eigenpatches.js";
import { about, told } from "./job.js";

const MOST = 2 ** 22; // px of an image whose coverage is fetched

/** @typedef {import("./job.js").Known} Known */

/** @param {HTMLElement} place @param {Known} known @param {AbortSignal} left @param {URLSearchParams} query `with`: another job beside this one */
export async function result(place, known, left, query) {
  const { job, signal, may } = known;
  if (!signal) return void fill(place, problem({ status: 410, message: "the image of this job has expired" }));
  const here = `v1/jobs/${job.id}`;
  const report = await (known.report ?? askJson(`${here}/report`, { signal: left }));
  const shape = signal.shape.slice(-2);
  const stack = signal.frames > 1 && job.params.frame === null;
  const other = query.get("with") ? await askJson(`v1/jobs/${query.get("with")}`, { signal: left }).catch(() => null) : null;
  const viewer = new Viewer({ ...signal, shape }, left);
  let frame = 0;
  let interim = 0; // 0: the result
  /** @type {Pyramid | null} what the result would be with a person's verdicts */
  let preview = null;
  /** @type {Pyramid | null} and the residual */
  let rest = null;

  const of = (/** @type {string} */ path, framed = stack) => new Pyramid(path, framed ? { frame } : {}, shape);
  const show = (all = true) => {
    const at = stack ? `, frame ${frame + 1}` : "";
    const streaks = (/** @type {any} */ { params }) => `row streaks ${decisions(params).scan === "keep" ? "kept" : "removed"}`;
    const keep = (/** @type {string} */ name) => (all ? null : viewer.sources.get(name)?.pyramid ?? null);
    const denoised = preview ? { title: "denoised (your verdicts)", pyramid: preview } : interim ? { title: `interim ${interim}`, pyramid: of(`${here}/interim/${interim}`, false) } : { title: `denoised${at}${other ? `: ${streaks(job)}` : ""}`, pyramid: of(`${here}/result`) };
    viewer.show([
      { name: "raw", title: `raw${at}`, kind: "raw", pyramid: keep("raw") ?? of(`${here}/input`) },
      { name: "denoised", kind: "denoised", ...denoised },
      ...(preview ? [{ name: "before", title: "denoised (as judged)", kind: "other", aside: true, pyramid: keep("before") ?? of(`${here}/result`) }] : []),
      ...(other ? [{ name: "other", title: streaks(other), kind: "other", pyramid: keep("other") ?? of(`v1/jobs/${other.id}/result`) }] : []),
      { name: "residual", kind: "residual", ...(preview ? { title: "residual (your verdicts)", pyramid: rest } : { title: interim ? "residual of the result" : `residual${at}`, pyramid: of(`${here}/residual`) }) },
    ]);
  };

  const side = h("aside", { class: "stack aside", "aria-label": "Verdict and decisions" });
  const verdict = h("div");
  const unjudged = h("p", { class: "banner small", hidden: true, role: "status" }, "This is said of the result as it is. What your verdicts make of it is judged when you keep them as a new job.");
  const patches = h("div", { class: "patches" });
  const slider = (/** @type {string} */ label, /** @type {number} */ most, /** @type {(value: number) => string} */ text, /** @type {(value: number) => void} */ choose) => {
    const out = h("output", { class: "quiet" }, text(0));
    const id = `slider-${label.toLowerCase()}`;
    return h("div", { class: "card row" }, h("label", { for: id }, label), h("input", { type: "range", id, min: 0, max: most, value: 0, title: `${label} that is shown`, oninput: (/** @type {any} */ event) => { out.textContent = text(Number(event.target.value)); choose(Number(event.target.value)); } }), out);
  };
  const sliders = [
    stack && slider("Frame", signal.frames - 1, (value) => `${value + 1} of ${signal.frames}`, (value) => { frame = value; preview = null; show(); tell(); }),
    !stack && known.interims.length > 1 && slider("Interim", known.interims.length, (value) => (value ? `after ${known.interims[value - 1]} of ${known.interims.length} stacks` : "the result"), (value) => { interim = value ? known.interims[value - 1] : 0; show(false); }),
  ];
  fill(place, h("div", { class: "job" }, h("div", { class: "stack" }, sliders, viewer.element), side, patches));
  fill(side, unjudged, verdict, streaks(), decided(), warned(), about(known));
  show();
  tell();

  /** What belongs to the frame that is shown: verdict, map, eigenpatches. */
  function tell() {
    const framed = stack ? report.frame_reports.find((/** @type {any} */ each) => each.frame === frame) ?? report.frame_reports[0] : report;
    const told = { ...framed, warnings: framed.warnings ?? report.warnings, verdict: framed.verdict ?? report.verdict, complete: report.complete };
    judge(told);
    const { recovery, outliers } = framed;
    viewer.lay([
      ...(recovery?.runs?.length > 1 ? [ofRuns("departures", recovery.runs, shape)] : []),
      ...(outliers?.rows.length ? [ofPlaces("hot", outliers, shape)] : []),
      ...(outliers?.runs?.length ? [ofRuns("drawn", outliers.runs, shape)] : []),
    ]);
    if (!recovery && framed.uncovered_pixels) uncovered();
    const gallery = new Eigenpatches(known, told, stack ? frame : null, left, (made, would) => {
      preview = made;
      rest = made && difference(viewer.sources.get("raw")?.pyramid, made);
      show(false);
      unjudged.hidden = !made || framed.method !== "two-scale";
      if (framed.method !== "two-scale") judge(made ? { ...would, assessment: null, warnings: [] } : told);
    });
    fill(patches, gallery.element);
  }

  /** @param {any} told the report, or as it would be */
  function judge(told) {
    const [residual, raw] = ["residual", "raw"].map((name) => /** @type {Pyramid} */ (viewer.sources.get(name)?.pyramid));
    fill(verdict, verdictOf(told, null));
    if (told.method !== "two-scale") structureOf({ residual, raw }, shape).then((found) => !left.aborted && viewer.sources.get("residual")?.pyramid === residual && fill(verdict, verdictOf(told, found)), () => {});
  }

  /** Pixels that no patch reached, as an overlay. */
  async function uncovered() {
    if (shape[0] * shape[1] > MOST) return; // too much for a browser; the warnings say it
    const pixels = await askNumbers(`${here}/coverage?format=npy`).catch(() => []);
    if (pixels.length !== shape[0] * shape[1]) return;
    const runs = [0];
    let marked = false;
    for (let at = 0; at < pixels.length; at++) {
      if ((pixels[at] === 0) !== marked) { marked = !marked; runs.push(0); }
      runs[runs.length - 1]++;
    }
    viewer.lay([...viewer.overlays, ofRuns("uncovered", runs, shape)]);
  }

  /** The other decision about row streaks, one click away. */
  function streaks() {
    const { scan } = decisions(job.params);
    const opposite = scan === "keep" ? "remove" : "keep";
    const go = button(opposite === "keep" ? "See it with row streaks kept" : "See it with row streaks removed", "Denoise the same image with the other decision and show both side by side", async () => {
      go.disabled = true;
      go.textContent = "Denoising…";
      try {
        const { jobs } = await askJson(`v1/jobs?${new URLSearchParams({ label: `counterpart=${job.id}`, state: "succeeded", limit: "1" })}`, { signal: left });
        let made = jobs[0] ?? (await askJson("v1/jobs", { json: { image_id: job.image_id, params: { ...stated(job.params), scan_noise: opposite }, labels: { ...job.labels, counterpart: job.id }, external_id: job.external_id, sample_id: job.sample_id, batch: job.batch } }));
        while (["queued", "running"].includes(made.state)) made = await askJson(`v1/jobs/${made.id}?wait=30`, { signal: left });
        if (made.state !== "succeeded") throw Object.assign(new Error(made.error?.detail ?? made.state), { status: 422 });
        location.hash = `#/job/${job.id}?with=${made.id}`;
      } catch (error) {
        if (/** @type {Error} */ (error).name !== "AbortError") told(error);
        go.disabled = false;
        go.textContent = "Try again";
      }
    });
    return h("section", { class: "card", "aria-label": "Row streaks" }, h("h2", {}, "Row streaks of the scan"),
      h("p", {}, scan === "keep" ? "They were kept, as data. If rows look shifted or striped, compare." : "They were removed, as an artefact. If a row of your specimen looks fainter than it should, compare."),
      other ? h("div", { class: "row" }, button("Wipe between both", "An edge to drag between the two results", () => { viewer.pair = ["denoised", "other"]; viewer.turnTo("wipe"); }), h("a", { class: "button", href: `#/job/${other.id}`, title: "Open the other result by itself" }, "Open the other"), h("a", { class: "button", href: `#/job/${job.id}`, title: "This result alone" }, "Close"))
        : may ? go : h("p", { class: "quiet small" }, "To compare, a key with the scope “submit” is needed."));
  }

  /** What was decided, and why. */
  function decided() {
    const first = stack ? report.frame_reports[0] : report;
    const kept = spread(first.stack_reports.map((/** @type {any} */ each) => each.kept.filter(Boolean).length));
    const noise = first.noise;
    return h("section", { class: "card", "aria-label": "Decisions" }, h("h2", {}, "What was decided, and why"), facts([
      ["patches", `${first.patch_size} × ${first.patch_size} px: ${ORIGINS[/** @type {keyof typeof ORIGINS} */ (first.patch_size_origin)] ?? first.patch_size_origin}`],
      ["eigenpatches", `${kept} of ${first.components} kept, by ${String(first.model ?? "your verdicts").replace(/@sha256:(.{8}).*/, " ($1…)")}`],
      ["row streaks", first.scan_noise === "keep" ? "kept" : "removed"],
      ["noise", noise && `${noise.kind}${noise.kind === "white" ? "" : `, along ${noise.scan_axis}`}, std ${number(Math.sqrt(noise.variance))} counts${noise.certain ? "" : ", uncertain"}`],
      ["departures", first.recovery && `${number(100 * first.recovery.share, 2)} % of the pixels depart from the lattice (shown over the image, O)`],
      ["drawn or lost", first.outliers?.boxes?.length ? `${first.outliers.boxes.length} ${first.outliers.boxes.length === 1 ? "area" : "areas"} that are no part of the scan: left as they are` : null],
      ["hot pixels", first.outliers?.rows.length ? `${first.outliers.rows.length}, ${first.outliers.treatment === "keep" ? "kept as measured" : "repaired"}` : null],
      ["engine", first.engine && `${first.engine}: ${first.engine_reason ?? ""}`], ["precision", first.precision],
    ]));
  }

  function warned() {
    const sentences = new Set((stack ? report.frame_reports : [report]).flatMap((/** @type {any} */ each) => each.verdict ?? []).concat(report.verdict ?? []));
    const all = [...report.warnings, ...(signal.notes ?? [])].filter((each) => !sentences.has(each)); // those are in the verdict
    return all.length > 0 && h("section", { class: "card", "aria-label": "Warnings" }, h("h2", {}, "Warnings"), h("ul", {}, all.map((/** @type {any} */ each) => h("li", {}, typeof each === "string" ? each : each.message ?? JSON.stringify(each)))));
  }
}

/** Counts of one or several stacks, shortly. @param {number[]} counts */
function spread(counts) {
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return least === most ? String(least) : counts.length < 5 ? counts.join(", ") : `${least} to ${most}`;
}

const ORIGINS = { minimum: "first minimum of the autocorrelation", inflexion: "inflexion of the autocorrelation", given: "as you asked", "least error": "least estimated error" };

/** Parameters that were stated; the rest are defaults. @param {Record<string, any>} params */
const stated = (params) => Object.fromEntries(Object.entries(params).filter(([name, value]) => value !== null && name !== "revision"));

/** One image minus another, both loaded as a whole. @param {Pyramid | null | undefined} raw @param {Pyramid} denoised */
function difference(raw, denoised) {
  const [a, b] = [raw, denoised].map((each) => each?.tiles.get("0/0/0")?.pixels);
  return a && b && a.length === b.length ? Pyramid.of(a.map((value, at) => value - b[at]), denoised.shape) : null;
}
