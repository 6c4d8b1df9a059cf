// Jobs of the past, to be found again.

import { askJson } from "../parts/api.js";
import { button, field, fill, h, select, settled } from "../parts/dom.js";
import { JobList } from "../parts/joblist.js";
import { problem } from "../parts/problem.js";
import { TRIAL } from "../parts/trial.js";

const PAGE = 50;
const LOOK = 3000; // ms between looks while something runs
const FILTERS = ["state", "name", "external_id", "batch", "label", "after", "before"];

/** @type {import("../main.js").View} */
export async function view(place, { caller, query, signal }) {
  const list = new JobList(signal, caller.scopes.has("submit") || caller.scopes.has("admin"));
  const message = h("div");
  const text = (/** @type {string} */ name, /** @type {string} */ hint, type = "search") => h("input", { type, value: query.get(name) ?? "", title: hint, placeholder: type === "search" ? hint : null, oninput: () => search() });
  const inputs = {
    state: select("State", [["", "all"], ["queued", "waiting"], ["running", "running"], ["succeeded", "done"], ["failed", "failed"], ["canceled", "canceled"]], query.get("state") ?? "", "State of the jobs", () => search()),
    name: text("name", "part of its name"), external_id: text("external_id", "LIMS-0042"), batch: text("batch", "its name"), label: text("label", "name=value"),
    after: text("after", "first day", "date"), before: text("before", "last day", "date"),
  };
  const titles = { state: "State", name: "File", external_id: "Your number", batch: "Batch", label: "Label", after: "From", before: "To" };
  const more = button("Show more", "Older jobs", () => load(true), { hidden: true });
  fill(place, h("div", { class: "stack narrow" }, h("h1", {}, "History"),
    h("section", { class: "card fields", role: "search", "aria-label": "Filter" }, Object.entries(inputs).map(([name, input]) => field(titles[/** @type {keyof typeof titles} */ (name)], input))), message, list.element, more));
  /** @type {any[]} */
  let jobs = [];
  let next = "";
  let run = 0;

  const asked = () => {
    const stated = FILTERS.map((name) => [name, inputs[/** @type {keyof typeof inputs} */ (name)].value.trim()]).filter(([, value]) => value);
    return new URLSearchParams(stated);
  };
  const search = settled(() => {
    history.replaceState(null, "", `#/jobs${[...asked()].length ? `?${asked()}` : ""}`);
    load(false);
  }, 250);

  /** @param {boolean} older */
  async function load(older) {
    const mine = ++run;
    const params = new URLSearchParams({ limit: String(PAGE) });
    for (const [name, value] of asked()) {
      if (name === "label" && !value.includes("=")) continue; // still being typed
      if (name === "after") params.set("created_after", new Date(`${value}T00:00`).toISOString());
      else if (name === "before") params.set("created_before", new Date(new Date(`${value}T00:00`).getTime() + 86400000).toISOString());
      else params.set(name, value);
    }
    if (older) params.set("cursor", next);
    try {
      const page = await askJson(`v1/jobs?${params}`, { signal });
      if (mine !== run) return;
      const shown = page.jobs.filter((/** @type {any} */ job) => !(TRIAL in job.labels));
      jobs = older ? [...jobs, ...shown] : shown;
      next = page.next ?? "";
      more.hidden = !next;
      fill(message);
      list.show(jobs);
    } catch (error) {
      if (/** @type {Error} */ (error).name !== "AbortError" && mine === run) fill(message, problem(error, () => load(older)));
    }
  }

  await load(false);
  const timer = setInterval(() => { if (!document.hidden && jobs.length <= PAGE && jobs.some(({ state }) => ["queued", "running"].includes(state))) load(false); }, LOOK);
  signal.addEventListener("abort", () => clearInterval(timer));
}
