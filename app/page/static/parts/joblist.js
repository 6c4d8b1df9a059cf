// Rows of jobs, for the history and for a batch: look, choose, save, delete.

import { askJson } from "./api.js";
import { button, fill, h } from "./dom.js";
import { archive } from "./archive.js";
import { leaving, removeLater } from "./removal.js";
import { thumbnail } from "./thumbnail.js";
import { decisions, methodOf, stateOf, when } from "./words.js";

/** @type {Map<string, Promise<string>>} names of images, each asked for once */
const names = new Map();

/** The name of a job's file. @param {any} job */
export function nameOf(job) {
  const { image_id: id } = job;
  if (!names.has(id)) names.set(id, askJson(`v1/images/${id}`).then(({ name }) => name, () => "file that has expired"));
  return /** @type {Promise<string>} */ (names.get(id));
}

export class JobList {
  /** @param {AbortSignal} left @param {boolean} mayChange */
  constructor(left, mayChange) {
    this.left = left;
    this.mayChange = mayChange;
    /** @type {any[]} */
    this.jobs = [];
    /** @type {Set<string>} ids */
    this.chosen = new Set();
    /** @type {Map<string, any>} rows by id, so that pictures are not fetched again */
    this.rows = new Map();
    this.body = h("tbody");
    this.all = h("input", { type: "checkbox", title: "Choose all that are shown", "aria-label": "Choose all that are shown", onchange: () => { for (const { id } of this.jobs) this.all.checked ? this.chosen.add(id) : this.chosen.delete(id); this.draw(); } });
    this.save = button("Save results", "Save the results of all chosen jobs in one archive", () => archive(this.picked.filter(({ state }) => state === "succeeded")));
    this.remove = button("Delete", "Delete all chosen jobs; can be undone for a few seconds", () => this.removeChosen(), { class: "danger" });
    this.count = h("span", { class: "quiet small", role: "status" });
    this.element = h("div", { class: "stack" }, h("div", { class: "row" }, this.save, mayChange && this.remove, this.count),
      h("div", { class: "tablewrap" }, h("table", { class: "jobs" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, this.all), ["", "file", "state", "decisions", "names", "submitted"].map((name) => h("th", { scope: "col" }, name)))), this.body)));
    addEventListener("reucid-removal", () => this.draw(), { signal: left });
    this.draw();
  }

  get picked() {
    return this.jobs.filter(({ id }) => this.chosen.has(id) && !leaving.has(id));
  }

  /** @param {any[]} jobs */
  show(jobs) {
    this.jobs = jobs;
    this.draw();
  }

  draw() {
    const shown = this.jobs.filter(({ id }) => !leaving.has(id));
    fill(this.body, shown.map((job) => this.row(job)));
    if (!shown.length) fill(this.body, h("tr", {}, h("td", { colspan: 7, class: "quiet" }, "No jobs.")));
    const picked = this.picked;
    const done = picked.filter(({ state }) => state === "succeeded").length;
    this.save.disabled = done === 0;
    this.remove.disabled = !picked.some(({ state }) => !["queued", "running"].includes(state));
    this.all.checked = shown.length > 0 && picked.length === shown.length;
    this.count.textContent = picked.length ? `${picked.length} chosen, ${done} with a result` : "";
  }

  /** @param {any} job */
  row(job) {
    const known = this.rows.get(job.id);
    if (known && known.state === job.state && known.progress === job.progress) {
      known.box.checked = this.chosen.has(job.id);
      return known.row;
    }
    const { scan } = decisions(job.params);
    const name = h("a", { href: `#/job/${job.id}`, title: "Open this job" }, "…");
    nameOf(job).then((text) => { name.textContent = text; box.setAttribute("aria-label", `Choose ${text}`); });
    const box = h("input", { type: "checkbox", checked: this.chosen.has(job.id), "aria-label": "Choose this job", title: "Choose this job", onchange: () => { box.checked ? this.chosen.add(job.id) : this.chosen.delete(job.id); this.draw(); } });
    const picture = known?.picture ?? thumbnail(`v1/images/${job.image_id}/preview.png?side=128`, this.left);
    const labels = Object.entries(job.labels).filter(([label]) => label !== "counterpart").map(([label, value]) => (value ? `${label}=${value}` : label));
    const row = h("tr", { "data-job": job.id }, h("td", {}, box), h("td", {}, picture), h("td", {}, name),
      h("td", {}, h("span", { class: `chip ${job.state}` }, stateOf(job.state)), job.state === "running" && job.stacks > 1 && h("progress", { value: job.progress, max: 1, "aria-label": "Progress" }), job.error && h("div", { class: "small quiet" }, job.error.detail)),
      h("td", { class: "small" }, `${methodOf(job.params)}, streaks ${scan === "keep" ? "kept" : "removed"}${job.revision_of ? ", with a person's verdicts" : ""}`),
      h("td", { class: "small" }, [job.external_id, job.sample_id, ...labels].filter(Boolean).join(", "), job.batch && [" ", h("a", { href: `#/batch/${encodeURIComponent(job.batch)}`, title: "All jobs of this batch" }, job.batch)]),
      h("td", { class: "small nowrap" }, when(job.created_at)));
    this.rows.set(job.id, { row, box, picture, state: job.state, progress: job.progress });
    return row;
  }

  async removeChosen() {
    const ended = this.picked.filter(({ state }) => !["queued", "running"].includes(state));
    removeLater(await Promise.all(ended.map(async (job) => ({ id: job.id, name: await nameOf(job) }))));
    for (const { id } of ended) this.chosen.delete(id);
    this.draw();
  }
}
