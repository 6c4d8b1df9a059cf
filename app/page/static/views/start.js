// Where files are dropped.

import { askJson, capabilities } from "../parts/api.js";
import { button, fill, h } from "../parts/dom.js";
import { problem } from "../parts/problem.js";
import { grouped, send } from "../parts/uploads.js";
import { nameOf } from "../parts/joblist.js";
import { thumbnail } from "../parts/thumbnail.js";
import { methodOf, stateOf, when } from "../parts/words.js";

const RECENT = 6;
const ARROW = "M12 16V4m0 0L7 9m5-5 5 5M4 16v3a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-3";

/** @type {import("../main.js").View} */
export async function view(place, { caller, signal }) {
  const mayRead = caller.scopes.has("read") || caller.scopes.has("admin");
  if (!caller.scopes.has("submit") && !caller.scopes.has("admin")) {
    fill(place, h("div", { class: "narrow stack" }, h("section", { class: "card" }, h("h1", {}, "You may look, not submit"),
      h("p", {}, "The key of this tab has the scope “read”. It shows jobs and results; to denoise images, ask for one with “submit”."),
      h("a", { class: "button primary", href: "#/jobs", title: "Jobs that you may see" }, "See jobs"))));
    return;
  }
  if (!mayRead) {
    fill(place, h("div", { class: "narrow stack" }, h("section", { class: "card" }, h("h1", {}, "You may submit, not look"),
      h("p", {}, "The key of this tab has the scope “submit” alone: it is for programs that send images. To work here, ask for one with “read” as well."))));
    return;
  }
  const input = h("input", { type: "file", multiple: true, class: "hidden-label", id: "files", tabindex: -1, "aria-label": "Choose files", title: "Choose files", onchange: () => take([...input.files]) });
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  icon.setAttribute("viewBox", "0 0 24 24");
  icon.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [name, value] of Object.entries({ d: ARROW, fill: "none", "stroke-width": "1.6", "stroke-linecap": "round", "stroke-linejoin": "round" })) path.setAttribute(name, value);
  icon.append(path);
  const drop = h("section", { class: "drop", "aria-label": "Files to denoise" }, icon, h("strong", {}, "Drop micrographs here"),
    h("p", { class: "quiet" }, "DM3, DM4, SER, EMI with its SER, Velox and NCEM EMD, MRC, HSPY, TIFF, PNG, NPY; several at once make a batch"),
    button("Choose files", "Choose files of this computer", () => input.click(), { class: "primary" }), input);
  const list = h("div", { class: "stack" });
  const recent = h("section", { class: "stack", "aria-label": "Recent jobs" });
  fill(place, h("div", { class: "narrow stack" },
    h("div", { class: "hero" }, h("h1", {}, "Denoise low-dose micrographs. Invent nothing."),
      h("p", {}, "Patches of your image vote on what repeats. What only looks like noise goes; nothing is drawn by a network.")),
    drop, list, recent));

  const stop = (/** @type {Event} */ event) => event.preventDefault();
  for (const type of ["dragenter", "dragover"]) document.addEventListener(type, (event) => { stop(event); drop.classList.add("over"); }, { signal });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); }, { signal });
  document.addEventListener("drop", (event) => { stop(event); drop.classList.remove("over"); take([...(event.dataTransfer?.files ?? [])]); }, { signal });

  /** @param {File[]} files */
  async function take(files) {
    if (!files.length) return;
    const rows = grouped(files).map((upload) => {
      const meter = h("progress", { max: 1, value: 0, "aria-label": `Upload of ${upload.name}` });
      const state = h("span", { class: "quiet small" }, upload.files.length > 1 ? `with ${upload.files.slice(1).map(({ name }) => name).join(", ")}` : "");
      return { upload, meter, state, row: h("div", { class: "card stack" }, h("div", { class: "row spread" }, h("strong", { class: "cut" }, upload.name), state), meter) };
    });
    fill(list, rows.map(({ row }) => row));
    /** @type {any[]} */
    const images = [];
    for (const { upload, meter, state, row } of rows) {
      try {
        images.push(await send(upload, (share) => { meter.value = share; state.textContent = share < 1 ? `${Math.round(100 * share)} %` : "reading the file…"; }, signal));
        state.textContent = "ready";
      } catch (error) {
        if (signal.aborted) return;
        state.textContent = "not taken";
        meter.hidden = true;
        row.append(problem(error, undefined, "Try another file, or export this one anew."));
      }
    }
    if (images.length === 1 && rows.length === 1) location.hash = `#/image/${images[0].id}`;
    else if (images.length) {
      const next = `#/images/${images.map(({ id }) => id).join(",")}`;
      if (images.length === rows.length) location.hash = next;
      else list.append(h("a", { class: "button primary", href: next, title: "Go on with the files that could be read" }, `Go on with the other ${images.length}`));
    }
    input.value = "";
  }

  capabilities().catch(() => {});
  const { jobs } = await askJson(`v1/jobs?limit=${RECENT * 3}`, { signal });
  const shown = jobs.filter((/** @type {any} */ job) => !job.labels.trial).slice(0, RECENT);
  if (shown.length) fill(recent, h("h2", {}, "Recent"), h("div", { class: "choices" }, shown.map((/** @type {any} */ job) => {
    const name = h("strong", { class: "cut" }, "…");
    nameOf(job).then((text) => { name.textContent = text; });
    return h("a", { class: "choice", href: `#/job/${job.id}`, title: "Open this job" }, thumbnail(`v1/images/${job.image_id}/preview.png?side=256`, signal), name,
      h("span", {}, h("span", { class: `chip ${job.state}` }, stateOf(job.state))), h("span", { class: "quiet small" }, `${methodOf(job.params)}, ${when(job.created_at)}`));
  })));
}
