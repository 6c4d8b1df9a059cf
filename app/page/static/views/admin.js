// For whoever runs the server: what it does, whose the load is, and who may use it.

import { ask, askJson } from "../parts/api.js";
import { button, facts, field, fill, h } from "../parts/dom.js";
import { notice } from "../parts/notices.js";
import { problem } from "../parts/problem.js";
import { duration, size, when } from "../parts/words.js";
import { told } from "./job.js";

const LOOK = 5000; // ms
const SCOPES = [["submit", "denoise images"], ["read", "see results"], ["admin", "everything, of everybody"]];

/** @type {import("../main.js").View} */
export async function view(place, { signal, caller }) {
  if (!caller.scopes.has("admin")) return void fill(place, h("div", { class: "narrow" }, problem({ status: 403, message: `this needs a key with the scope “admin”, got ${[...caller.scopes].join(", ")}` })));
  const state = h("section", { class: "card", "aria-label": "State of the server" });
  const owners = h("section", { class: "card", "aria-label": "Owners" });
  const keys = h("section", { class: "card stack", "aria-label": "Keys" });
  fill(place, h("div", { class: "stack narrow" }, h("h1", {}, "Administration"), state, owners, keys));

  async function look() {
    if (signal.aborted) return;
    try {
      const seen = await askJson("v1/admin/overview", { signal });
      const health = await ask("v1/readyz", { signal }).then((answer) => answer.json(), () => ({ status: "down", problems: ["the server does not answer"] }));
      fill(state, h("h2", {}, "State"), h("div", { class: "row" }, h("span", { class: `chip ${health.status === "ok" ? "good" : health.status === "degraded" ? "warn" : "bad"}` }, { ok: "all is well", degraded: "not all is well", down: "down" }[/** @type {"ok" | "degraded" | "down"} */ (health.status)]), h("span", {}, health.problems.join("; "))), stated(seen));
      fill(owners, h("h2", {}, "Owners"), table(["owner", "images", "jobs", "waiting", "running", "disk"], seen.owners.map((/** @type {any} */ each) => [each.owner, each.images, each.jobs, each.queued, each.running, size(each.bytes)])));
    } catch (error) {
      if (/** @type {Error} */ (error).name !== "AbortError") fill(state, problem(error, look));
    }
  }

  async function listKeys() {
    const { keys: all } = await askJson("v1/keys", { signal });
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
        const made = await askJson("v1/keys", { json: { owner: owner.value, name: name.value, scopes: chosen, expires_days: Number.isFinite(days.valueAsNumber) ? days.valueAsNumber : null } });
        await listKeys();
        keys.append(h("div", { class: "banner", role: "status" }, h("span", {}, "This key is shown once. Copy it now:"), h("code", { class: "key-shown" }, made.key)));
      } catch (error) {
        fill(shown, problem(error));
      }
    } }, h("h3", {}, "Make a key"), h("div", { class: "fields" }, field("Owner", owner), field("For", name), field("Ends after days", days)), h("div", { class: "row" }, scopes), h("button", { type: "submit", class: "primary", title: "Make a key; it is shown once" }, "Make a key"), shown);
  }

  await Promise.all([look(), listKeys()]);
  const timer = setInterval(() => !document.hidden && look(), LOOK);
  signal.addEventListener("abort", () => clearInterval(timer));
}

/** @param {any} seen */
function stated(seen) {
  return facts(Object.entries(seen).filter(([, value]) => typeof value !== "object").map(([name, value]) => [name.replaceAll("_", " "), /bytes/.test(name) ? size(Number(value)) : /_s$/.test(name) ? duration(Number(value)) : String(value)]));
}

/** @param {string[]} heads @param {any[][]} rows */
const table = (heads, rows) => h("div", { class: "tablewrap", tabindex: 0, role: "group", "aria-label": "Table" }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell)))))));
