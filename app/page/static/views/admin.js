// For whoever runs the server: what it does, whose the load is, and who may use it.

import { ask, askJson, key } from "../parts/api.js";
import { button, facts, field, fill, h } from "../parts/dom.js";
import { notice } from "../parts/notices.js";
import { problem } from "../parts/problem.js";
import { duration, size, stateOf, when } from "../parts/words.js";
import { told } from "./job.js";

const LOOK = 5000; // ms
const LEVELS = { ok: ["good", "all is well"], degraded: ["warn", "not all is well"], down: ["bad", "down"] };
const SCOPES = [["submit", "denoise images"], ["read", "see results"], ["admin", "everything, of everybody"]];

/** @type {import("../main.js").View} */
export async function view(place, { signal, caller }) {
  if (!caller.scopes.has("admin")) return void fill(place, h("div", { class: "narrow" }, problem({ status: 403, message: `this needs a key with the scope “admin”, got ${[...caller.scopes].join(", ")}` })));
  const state = h("section", { class: "card", "aria-label": "State of the server" });
  const owners = h("section", { class: "card", "aria-label": "Owners" });
  const keys = h("section", { class: "card stack", "aria-label": "Keys" });
  const made = h("div", { role: "status" }); // apart: what is shown once outlives a list that cannot be shown
  let none = false; // whether there is no key yet
  fill(place, h("div", { class: "stack narrow" }, h("h1", {}, "Administration"), state, owners, keys, made));

  async function look() {
    if (signal.aborted) return;
    try {
      const seen = await askJson("v1/admin/overview", { signal });
      fill(state, h("div", { class: "row" }, h("h2", {}, "State"), h("span", { class: `chip ${LEVELS[/** @type {keyof typeof LEVELS} */ (seen.status)][0]}` }, LEVELS[/** @type {keyof typeof LEVELS} */ (seen.status)][1]), h("span", {}, seen.problems.join("; "))), stated(seen), workers(seen.workers));
      fill(owners, h("h2", {}, "Owners"), table(["owner", "images", "jobs", "keys", "last job", "disk"], seen.owners.map((/** @type {any} */ each) => [each.owner, each.images, counted(each.jobs) || "none", each.valid_keys, when(each.last_submitted_at), size(each.stored)])));
    } catch (error) {
      if (/** @type {Error} */ (error).name !== "AbortError") fill(state, problem(error, look));
    }
  }

  async function listKeys() {
    const { keys: all } = await askJson("v1/keys", { signal });
    none = !all.length;
    fill(keys, h("h2", {}, "Keys"), !all.length && h("p", {}, "There is no key yet: everybody on this computer may do everything. From the first key on, everybody needs one; make the first with the scope “admin”."),
      all.length > 0 && table(["owner", "for", "begins with", "may", "state", "last used", "ends", ""], all.map((/** @type {any} */ each) => [each.owner, each.name, h("code", {}, each.prefix), each.scopes.join(", "), each.state, when(each.last_used_at), when(each.expires_at),
        each.state === "valid" && button("Revoke", `End the key of ${each.owner} at once`, () => revoke(each), { class: "danger" })])),
      form());
  }

  /** @param {any} each */
  async function revoke(each) {
    const box = h("dialog", { "aria-label": "Revoke a key" }, h("h2", {}, "End this key?"), h("p", {}, `“${each.owner}”${each.name && `, ${each.name}`}: programs that use it stop working at once. This cannot be undone.`),
      h("form", { method: "dialog", class: "row" }, h("button", { value: "no", title: "Leave the key as it is" }, "Keep it"), h("button", { value: "yes", class: "danger", title: "End the key" }, "Revoke it")));
    document.body.append(box);
    box.showModal();
    box.addEventListener("close", async () => {
      box.remove();
      if (box.returnValue !== "yes") return;
      await ask(`v1/keys/${each.id}`, { method: "DELETE" }).then(() => notice("The key has ended."), told);
      listKeys().catch(told);
    });
  }

  function form() {
    const owner = h("input", { type: "text", required: true, pattern: "[A-Za-z0-9._@\\-]{1,200}", title: "Letters, digits and . _ @ -; everything made with the key belongs to this owner" });
    const name = h("input", { type: "text", maxlength: 200, title: "What the key is for" });
    const days = h("input", { type: "number", min: 1, max: 36500, title: "Days until it ends; empty: never" });
    const scopes = SCOPES.map(([scope, text]) => h("label", { title: text }, h("input", { type: "checkbox", value: scope, checked: scope !== "admin" }), `${scope}: ${text}`));
    const shown = h("div", { role: "status" });
    return h("form", { class: "stack", onsubmit: async (/** @type {Event} */ event) => {
      event.preventDefault();
      const chosen = scopes.map((label) => label.firstChild).filter((box) => box.checked).map((box) => box.value);
      try {
        if (none && !chosen.includes("admin")) throw Object.assign(new Error("the first key needs the scope “admin”: with another one, nobody could make the next"), { status: 422 });
        const { key: secret } = await askJson("v1/keys", { json: { owner: owner.value, name: name.value, scopes: chosen, expires_days: Number.isFinite(days.valueAsNumber) ? days.valueAsNumber : null } });
        fill(made, h("div", { class: "banner" }, h("span", {}, none ? "From now on everybody needs a key. This tab uses this one, which is shown once. Copy it now:" : "This key is shown once. Copy it now:"), h("code", { class: "key-shown" }, secret)));
        if (none) key.set(secret);
        await listKeys();
      } catch (error) {
        fill(shown, problem(error));
      }
    } }, h("h3", {}, "Make a key"), h("div", { class: "fields" }, field("Owner", owner), field("What it is for", name), field("Days until it ends; empty: never", days)), h("div", { class: "row" }, scopes), h("button", { type: "submit", class: "primary", title: "Make a key; it is shown once" }, "Make a key"), shown);
  }

  await Promise.all([look(), listKeys()]);
  const timer = setInterval(() => !document.hidden && look(), LOOK);
  signal.addEventListener("abort", () => clearInterval(timer));
}

/** @param {Record<string, number>} counts by name */
const counted = (counts) => Object.entries(counts).filter(([, count]) => count).map(([name, count]) => `${count} ${stateOf(name)}`).join(", ");

/** @param {any} seen */
function stated({ version, queue, disk, keys }) {
  return facts([
    ["version", version],
    ["queue", `${counted(queue.queued) || "nothing"} waiting, ${queue.running || "nothing"} running${queue.longest_wait_s ? `; longest wait ${duration(queue.longest_wait_s)}` : ""}${queue.answers ? "" : "; the queue's server does not answer: jobs wait"}`],
    ["disk", `${size(disk.free)} of ${size(disk.total)} free; ${size(disk.stored)} in images and results; below ${size(disk.min_free)} nothing is accepted`],
    ["quota", disk.owner_quota ? `${size(disk.owner_quota)} for each owner` : "none"],
    ["keys", `${keys.valid} valid, ${keys.expired} expired, ${keys.revoked} revoked`],
  ]);
}

/** @param {any[]} all */
function workers(all) {
  const rows = all.map((each) => [each.name, h("span", { class: `chip ${each.alive ? "good" : "bad"}` }, each.alive ? "alive" : `silent for ${duration(each.silent_s)}`),
    each.job_id ? h("a", { href: `#/job/${each.job_id}`, title: "The job that it runs" }, `a job for ${duration(each.running_s ?? 0)}`) : "idle"]);
  return [h("h3", {}, "Workers"), rows.length ? table(["worker", "state", "runs"], rows) : h("p", {}, "No worker was heard of within a day: jobs are accepted and wait.")];
}

/** @param {string[]} heads @param {any[][]} rows */
const table = (heads, rows) => h("div", { class: "tablewrap", tabindex: 0, role: "group", "aria-label": "Table" }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell)))))));
