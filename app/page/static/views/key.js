// The key of this tab.

import { forget, key, whoAmI } from "../parts/api.js";
import { button, fill, h } from "../parts/dom.js";
import { problem } from "../parts/problem.js";

const SCOPES = { submit: "denoise images", read: "see jobs and results", admin: "see everybody's and make keys" };

/** @type {import("../main.js").View} */
export async function view(place) {
  const input = h("input", { type: "password", autocomplete: "off", spellcheck: "false", id: "key", size: 48, title: "The key, as whoever runs the server gave it to you" });
  const answer = h("div", { class: "stack", role: "status" });
  const check = async () => {
    try {
      const { owner, scopes } = await whoAmI();
      fill(answer, h("p", {}, `The server takes you for “${owner}”: you may ${[...scopes].map((scope) => SCOPES[/** @type {keyof typeof SCOPES} */ (scope)] ?? scope).join(", ")}.`));
    } catch (error) {
      fill(answer, problem(error));
    }
  };
  const take = (/** @type {string} */ value) => {
    key.set(value.trim());
    forget();
    dispatchEvent(new Event("reucid-key"));
  };
  const form = h("form", { class: "card stack", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); take(input.value); } },
    h("h1", {}, "Your key"), h("p", { class: "quiet" }, "It is kept for this tab only, until it is closed, and is never part of an address. A server of this computer alone needs none."),
    h("label", { class: "field", for: "key" }, h("span", {}, "Key"), input),
    h("div", { class: "row" }, h("button", { type: "submit", class: "primary", title: "Show this key to the server from now on" }, "Use this key"), key.get() && button("Forget the key", "Show no key any more", () => take(""))), answer);
  fill(place, h("div", { class: "narrow stack" }, form));
  await check();
}
