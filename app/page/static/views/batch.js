// All jobs of a batch: how far it is, and everything in one archive.

import { ask, askJson } from "../parts/api.js";
import { archive } from "../parts/archive.js";
import { button, fill, h } from "../parts/dom.js";
import { JobList } from "../parts/joblist.js";
import { problem } from "../parts/problem.js";
import { told } from "./job.js";

const LOOK = 1500; // ms

/** @type {import("../main.js").View} */
export async function view(place, { at: name, caller, signal }) {
  const may = caller.scopes.has("submit") || caller.scopes.has("admin");
  const list = new JobList(signal, may);
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Progress of the batch" });
  const line = h("p", { role: "status" });
  const message = h("div");
  /** @type {any[]} */
  let jobs = [];
  const of = (/** @type {string[]} */ ...states) => jobs.filter(({ state }) => states.includes(state));
  const save = button("Save all results", "Results of all jobs that are done, in one archive", () => archive(of("succeeded")), { class: "primary" });
  const again = button("Try the failed ones again", "Submit each failed job again", () => Promise.all(of("failed").map(({ id }) => ask(`v1/jobs/${id}/retry`, { method: "POST" }))).then(look, told));
  const cancel = button("Cancel what is left", "Cancel all jobs that wait or run", () => Promise.all(of("queued", "running").map(({ id }) => ask(`v1/jobs/${id}/cancel`, { method: "POST" }))).then(look, told), { class: "danger" });
  document.title = `${name} · REUCID`;
  fill(place, h("div", { class: "stack narrow" }, h("h1", {}, `Batch ${name}`), h("section", { class: "card", "aria-label": "Progress" }, bar, line, h("div", { class: "row" }, save, may && again, may && cancel)), message, list.element));

  async function look() {
    /** @type {any[]} */
    const found = [];
    let cursor = "";
    do {
      const page = await askJson(`v1/jobs?${new URLSearchParams({ batch: name, limit: "200", ...(cursor && { cursor }) })}`, { signal });
      found.push(...page.jobs);
      cursor = page.next ?? "";
    } while (cursor);
    jobs = found;
    list.show(jobs);
    const [done, failed, running, waiting] = [of("succeeded"), of("failed", "canceled"), of("running"), of("queued")].map(({ length }) => length);
    bar.value = jobs.length ? (done + failed) / jobs.length : 0;
    line.textContent = `${done} of ${jobs.length} done${failed ? `, ${failed} failed or canceled` : ""}${running ? `, ${running} running` : ""}${waiting ? `, ${waiting} waiting` : ""}.`;
    save.disabled = !done;
    again.hidden = !of("failed").length;
    cancel.hidden = !(running + waiting);
    return running + waiting > 0;
  }

  const watch = async () => {
    if (signal.aborted) return;
    let going = true;
    try {
      going = await look();
      fill(message);
    } catch (error) {
      if (/** @type {Error} */ (error).name === "AbortError") return;
      fill(message, problem(error));
    }
    if (going) setTimeout(watch, LOOK);
  };
  await watch();
}
