// A refusal, shown in place of what was asked for.

import { button, h } from "./dom.js";
import { explain } from "./words.js";

/** @param {any} error @param {() => void} [again] */
export function problem(error, again) {
  if (!("status" in Object(error))) console.error(error);
  const { title, detail, advice, kind } = explain(error);
  return h("section", { class: "problem", role: "alert" },
    h("h2", {}, title), h("p", {}, detail), h("p", {}, advice),
    h("div", { class: "row" },
      again && button("Try again", "Ask the server once more", again),
      kind === "key" && h("a", { class: "button", href: "#/key", title: "Enter a key, or another one" }, "Enter a key")));
}
