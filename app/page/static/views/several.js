// Several images at once: which signal of each, one set of choices for all, and a batch of jobs.

import { askJson, capabilities } from "../parts/api.js";
import { Choices } from "../parts/choices.js";
import { button, field, fill, h, select } from "../parts/dom.js";
import { problem } from "../parts/problem.js";
import { thumbnail } from "../parts/thumbnail.js";
import { shapeOf } from "../parts/words.js";

/** @type {import("../main.js").View} */
export async function view(place, { at, signal }) {
  const [able, ...images] = await Promise.all([capabilities(), ...at.split(",").map((id) => askJson(`v1/images/${id}`, { signal }))]);
  const choices = new Choices(able, null);
  const today = new Date();
  const batch = h("input", { type: "text", maxlength: 200, value: `${today.toLocaleDateString("sv")} ${today.toTimeString().slice(0, 5)}`, title: "Name that the jobs of this batch share" });
  const rows = images.map((image) => {
    const chosen = select(`Signal of ${image.name}`, image.signals.map((/** @type {any} */ each, /** @type {number} */ index) => [String(index), `${each.title}: ${shapeOf(each.shape)}`]), String(image.default_signal ?? 0), "Which image of the file is denoised", () => {});
    const take = h("input", { type: "checkbox", checked: true, "aria-label": `Denoise ${image.name}`, title: "Denoise this file" });
    const state = h("span", { class: "small quiet" });
    return { image, chosen, take, state, element: h("tr", {}, h("td", {}, take), h("td", {}, thumbnail(`v1/images/${image.id}/preview.png?side=128`, signal)), h("td", {}, image.name), h("td", {}, image.signals.length > 1 ? chosen : h("span", { class: "small" }, shapeOf(image.shape))), h("td", {}, state)) };
  });
  const start = button("Denoise all", "Start a job for each file", go, { class: "primary" });
  const message = h("div");
  fill(place, h("div", { class: "stack" }, h("h1", {}, `${images.length} files`), h("div", { class: "setup" },
    h("section", { class: "card tablewrap", "aria-label": "Files" }, h("table", { class: "jobs" }, h("thead", {}, h("tr", {}, ["", "", "file", "image", ""].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, rows.map(({ element }) => element)))),
    h("section", { class: "card stack", "aria-label": "Choices" }, field("Batch", batch), choices.element, start, message))));

  async function go() {
    start.disabled = true;
    let failed = 0;
    for (const { image, chosen, take, state } of rows.filter((each) => each.take.checked && !each.take.disabled)) {
      const params = { ...choices.params, ...(image.signals.length > 1 ? { signal: Number(chosen.value) } : {}) };
      try {
        await askJson("v1/jobs", { json: { image_id: image.id, params, ...choices.fields, batch: batch.value.trim() || null, priority: "batch" } });
        state.textContent = "submitted";
        take.disabled = true;
      } catch (error) {
        failed++;
        state.textContent = String(/** @type {Error} */ (error).message);
        fill(message, problem(error));
      }
    }
    start.disabled = false;
    if (!failed) location.hash = `#/batch/${encodeURIComponent(batch.value.trim())}`;
  }
}
