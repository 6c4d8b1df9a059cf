// A refusal, shown in place of what was asked for.

import { button, h } from "./dom.js";
import { explain } from "./words.js";

/** @param {any} error @param {() => void} [again] @param {string} [instead] of the usual advice on what the server cannot take */
export function problem(error, again, instead) {
  if (!("status" in Object(error))) console.error(error);
  const { title, detail, advice: usual, kind } = explain(error);
  const advice = instead && usual && /** @type {any} */ (error).status === 422 ? instead : usual;
  const lost = /** @type {any} */ (error)?.status === 404;
  return h("section", { class: "problem", role: "alert" },
    h("h2", {}, title), h("p", {}, detail), advice && h("p", {}, advice),
    h("div", { class: "row" },
      lost && h("a", { class: "button", href: "#/jobs", title: "Jobs that you may see" }, "See jobs"),
      again && !lost && button("Try again", "Ask the server once more", again),
      kind === "key" && !location.hash.startsWith("#/key") && h("a", { class: "button", href: "#/key", title: "Enter a key, or another one" }, "Enter a key")));
}
