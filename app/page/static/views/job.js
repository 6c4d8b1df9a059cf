// One job, from its place in the queue to its result.

import { ask, askJson } from "../parts/api.js";
import { button, facts, fill, h } from "../parts/dom.js";
import { downloads } from "../parts/downloads.js";
import { follow } from "../parts/events.js";
import { notice } from "../parts/notices.js";
import { problem } from "../parts/problem.js";
import { decisions, duration, explain, methodOf, shapeOf, stateOf, when } from "../parts/words.js";
import { removeLater } from "../parts/removal.js";
import { running } from "./running.js";
import { result } from "./result.js";

/** @typedef {{ job: any, image: any, signal: any, report: Promise<any> | null, interims: number[], may: boolean, stem: string }} Known What the parts of this view know. */

/** @type {import("../main.js").View} */
export async function view(place, { at: id, query, signal: left, caller }) {
  const asked = askJson(`v1/jobs/${id}/metadata`, { signal: left }).catch(() => null);
  const job = await askJson(`v1/jobs/${id}`, { signal: left });
  const expired = job.expires_at !== null && new Date(job.expires_at) < new Date();
  const shown = job.state === "succeeded" && !expired;
  const report = shown ? askJson(`v1/jobs/${id}/report`, { signal: left }) : null; // needed at once: asked for before the rest is there
  report?.catch(() => {}); // told where it is waited for
  const [image, signal, before] = await Promise.all([askJson(`v1/images/${job.image_id}`, { signal: left }).catch(() => null), asked, shown ? interims(id, left).catch(() => []) : []]);
  const may = caller.scopes.has("submit") || caller.scopes.has("admin");
  const name = image?.name ?? "image that has expired";
  document.title = `${name} · REUCID`;
  /** @type {Known} */
  const known = { job, image, signal, report, interims: before, may, stem: name.replace(/\.[^.]*$/, "") || "result" };
  const state = h("span", { class: "chip" });
  const head = h("header", { class: "row spread wide" });
  const body = h("div", { class: "wide" });
  fill(place, h("div", { class: "job", "data-state": job.state }, head, body));

  const showHead = () => {
    const { job: now } = known;
    const { scan } = decisions(now.params);
    state.className = `chip ${now.state}`;
    state.textContent = stateOf(now.state);
    /** @type {HTMLElement} */ (place.firstElementChild).dataset.state = now.state;
    fill(head, h("div", { class: "row" }, h("h1", {}, name), state, h("span", { class: "quiet small" }, [`${methodOf(now.params)}, row streaks ${scan === "keep" ? "kept" : "removed"}`, signal && shapeOf(signal.shape), now.revision_of && "with a person's verdicts", now.external_id, now.batch && `batch ${now.batch}`].filter(Boolean).join(" · "))),
      h("div", { class: "row" }, now.state === "succeeded" && downloads(now, known.stem), button("Copy link", "Copy this job's address, to send it to a colleague", copyLink),
        may && image && h("a", { class: "button", href: `#/image/${now.image_id}`, title: "Denoise the same image with other choices" }, "Other choices"),
        may && ["failed", "canceled"].includes(now.state) && button("Try again", "Submit the job again, as a new one", retry),
        may && !["queued", "running"].includes(now.state) && button("Delete", "Delete this job and its results; can be undone for a few seconds", remove, { class: "danger" })));
  };
  const copyLink = () => navigator.clipboard.writeText(location.href).then(() => notice("The link is copied."), () => notice(location.href));
  const retry = async () => {
    try {
      location.hash = `#/job/${(await askJson(`v1/jobs/${id}/retry`, { method: "POST" })).id}`;
    } catch (error) {
      told(error);
    }
  };
  const remove = () => { removeLater([{ id, name }]); location.hash = "#/jobs"; };

  const end = async () => {
    showHead();
    const { state: ended, expires_at: expires } = known.job;
    if (ended === "succeeded" && expires && new Date(expires) < new Date()) return fill(body, problem({ status: 410, message: `the result expired ${when(expires)}` }));
    if (ended === "succeeded") return result(body, known, left, query);
    return fill(body, ended === "failed" ? failed(known.job) : h("section", { class: "card" }, h("p", {}, "This job was canceled. Nothing of it is kept."), h("p", { class: "quiet" }, "Its image is still here: start again with “Other choices” or “Try again”.")), about(known));
  };

  showHead();
  if (["succeeded", "failed", "canceled"].includes(job.state)) return void (await end());
  const watching = new AbortController();
  left.addEventListener("abort", () => watching.abort());
  const watch = running(body, known, watching.signal);
  follow(`v1/jobs/${id}/events`, async (type, data) => {
    if (type === "interim") known.interims.push(data.n);
    if (type === "started") known.interims = []; // those of an attempt that was lost are gone
    watch.tell(type, data);
    if (type === "started" || type === "queued") {
      known.job = { ...known.job, state: type === "queued" ? "queued" : "running" };
      showHead();
    }
    if (["succeeded", "failed", "canceled"].includes(type)) {
      watching.abort();
      known.job = await askJson(`v1/jobs/${id}`, { signal: left });
      await end().catch((error) => !left.aborted && fill(body, problem(error, () => end())));
    }
  }, left, watch.lost).catch((error) => fill(body, problem(error)));
}

/** The interim results of a job that has ended, from its events. @param {string} id @param {AbortSignal} signal */
async function interims(id, signal) {
  /** @type {number[]} */
  const found = [];
  await follow(`v1/jobs/${id}/events`, (type, data) => {
    if (type === "interim") found.push(data.n);
    if (type === "started") found.length = 0;
  }, signal);
  return found;
}

/** @param {any} job */
function failed(job) {
  const { code, detail } = job.error ?? { code: "failed", detail: "no reason was given" };
  const advice = code === "worker_lost" ? "The computer that ran it was lost three times. Try again; if it fails again, the image may need more memory than the server has." : "Change what is named and try again, or send a part of the image.";
  return h("section", { class: "problem", role: "alert" }, h("h2", {}, "This job failed"), h("p", {}, detail), h("p", {}, advice), h("p", { class: "quiet small mono" }, code));
}

/** What is known of a job. @param {Known} known */
export function about({ job, signal }) {
  const seconds = job.started_at && job.finished_at ? (Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000 : null;
  return h("section", { class: "card", "aria-label": "About this job" }, h("h2", {}, "About this job"), facts([
    ["submitted", when(job.created_at)], ["took", seconds !== null ? duration(seconds) : null], ["kept until", job.expires_at && when(job.expires_at)], ["owner", job.owner],
    ["number", job.external_id], ["specimen", job.sample_id], ["batch", job.batch && h("a", { href: `#/batch/${encodeURIComponent(job.batch)}`, title: "All jobs of this batch" }, job.batch)],
    ...Object.entries(job.labels).map(([name, value]) => /** @type {[string, any]} */ ([name, value])), ["detector", signal?.detector], ["job", h("span", { class: "mono small" }, job.id)],
    ["repeats", job.retry_of && h("a", { href: `#/job/${job.retry_of}`, title: "The job that this one repeats" }, "an earlier job")], ["revises", job.revision_of && h("a", { href: `#/job/${job.revision_of}`, title: "The job that this one revises" }, "an earlier job")],
  ]));
}

/** @param {any} error */
export function told(error) {
  const { title, detail, advice } = explain(error);
  notice(`${title}. ${detail} ${advice}`, { bad: true, stays: 15000 });
}

/** @param {string} id @param {"cancel" | "finish"} what */
export const stop = (id, what) => ask(`v1/jobs/${id}/${what}`, { method: "POST" }).catch(told);
