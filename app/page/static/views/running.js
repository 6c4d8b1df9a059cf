// A job that waits or runs: its place, its stages, and interim results as they come.

import { askJson } from "../parts/api.js";
import { button, fill, h } from "../parts/dom.js";
import { duration, explain } from "../parts/words.js";
import { Pyramid } from "../viewer/pyramid.js";
import { Viewer } from "../viewer/viewer.js";
import { stop } from "./job.js";

const STAGES = { queued: "waiting", loading: "loading", denoising: "denoising", saving: "saving" };
const LOOK = 1000; // ms between looks at the progress

/** @param {HTMLElement} place @param {import("./job.js").Known} known @param {AbortSignal} shown until this is over @returns {{ tell: (type: string, data: any) => void, lost: (error: any) => void }} */
export function running(place, known, shown) {
  const { job, signal, may } = known;
  const here = `v1/jobs/${job.id}`;
  const bar = h("progress", { max: 1, "aria-label": "Progress" });
  const line = h("p", { class: "quiet", role: "status" });
  const away = h("p", { class: "banner", hidden: true, role: "status" });
  const steps = Object.entries(STAGES).map(([name, text]) => h("li", { "data-step": name }, text));
  const warnings = h("ul", {});
  const finish = button("Finish with what there is", "Stop after the current stack or frame and keep the result so far", () => { finish.disabled = true; stop(job.id, "finish"); });
  const cancel = button("Cancel", "Stop the job and forget it", () => { cancel.disabled = true; stop(job.id, "cancel"); }, { class: "danger" });
  const card = h("section", { class: "card", "aria-label": "Progress" }, h("ol", { class: "steps" }, steps), bar, line, warnings, away, may && h("div", { class: "row" }, finish, cancel));
  const stage = h("div");
  fill(place, h("div", { class: "stack" }, card, stage));
  /** @type {Viewer | null} */
  let viewer = null;
  const stack = signal && signal.frames > 1 && job.params.frame === null;
  if (signal) {
    viewer = new Viewer(signal, shown);
    const query = stack ? { frame: 0 } : {};
    viewer.show([{ name: "raw", title: "raw", kind: "raw", pyramid: new Pyramid(`${here}/input`, query, signal.shape.slice(-2)) }, { name: "denoised", title: "denoised", kind: "denoised", pyramid: null, waiting: "The first interim result shows here as soon as it comes." }]);
    stage.append(viewer.element);
  }

  const at = (/** @type {string} */ name) => {
    const now = Object.keys(STAGES).indexOf(name);
    steps.forEach((step, index) => { step.className = index < now ? "done" : index === now ? "now" : ""; step.setAttribute("aria-current", index === now ? "step" : "false"); });
  };
  at(job.state === "queued" ? "queued" : job.stage ?? "loading");

  const look = async () => {
    if (shown.aborted) return;
    try {
      const now = await askJson(here, { signal: shown });
      if (now.state === "running" && now.stacks) bar.value = now.progress;
      const what = stack ? "frames" : "stacks";
      line.textContent = now.state === "queued" ? (now.queue_position === 0 ? "Next in the queue." : now.queue_position !== null ? `${now.queue_position} before this one in the queue.` : "In the queue.")
        : [now.stacks > 1 && `${now.stacks_done} of ${now.stacks} ${what}`, now.eta_s !== null && `about ${duration(now.eta_s)} to go`, now.attempt > 1 && `attempt ${now.attempt}: an earlier one lost its worker`, now.finish_requested && "finishing after this one"].filter(Boolean).join(" · ") || "Working…";
      finish.hidden = now.state !== "running" || !(now.stacks > 1);
    } catch (error) {
      if (/** @type {Error} */ (error).name === "AbortError") return; // the events tell of the rest
    }
    setTimeout(look, LOOK);
  };
  look();

  /** @type {any} the newest interim result that is not shown yet */
  let latest = null;
  let loading = false;
  /** Show interim results as fast as they can be fetched; those that are overtaken are left out. */
  const showLatest = async () => {
    if (loading || !viewer || !signal) return;
    loading = true;
    while (latest && !shown.aborted) {
      const { n, stacks } = latest;
      latest = null;
      const shape = signal.shape.slice(-2);
      const pyramid = new Pyramid(`${here}/interim/${n}`, {}, shape);
      const raw = stack ? new Pyramid(`${here}/input`, { frame: n - 1 }, shape) : null;
      try {
        await Promise.all([pyramid.open(), raw?.open()]);
      } catch {
        continue; // of an attempt that was lost, or the job has ended
      }
      if (shown.aborted) break;
      const title = stack ? `denoised, frame ${n}` : `interim ${n} of ${stacks}`;
      viewer.replace("denoised", { title, pyramid });
      if (raw) viewer.replace("raw", { title: `raw, frame ${n}`, pyramid: raw });
    }
    loading = false;
  };

  return {
    tell(type, data) {
      if (shown.aborted && type !== "interim") return;
      if (type === "queued") at("queued");
      if (type === "started") {
        at("loading");
        latest = null; // of an attempt that was lost
      }
      if (type === "stage") at(data.stage);
      if (type === "warning") warnings.append(h("li", {}, data.message ?? data.warning ?? JSON.stringify(data)));
      if (type === "interim") {
        latest = data;
        showLatest();
      }
    },
    lost(error) {
      away.hidden = !error;
      if (error) away.textContent = `${explain(error).title}. ${explain(error).advice}`;
    },
  };
}
