// Short messages in a corner: what was done, with a way back, or what went wrong.

import { button, h } from "./dom.js";

const SHOWN = 8000; // ms

/** @param {string} text @param {{ bad?: boolean, action?: [string, () => void], stays?: number, ended?: () => void }} [options] */
export function notice(text, options = {}) {
  const corner = /** @type {HTMLElement} */ (document.getElementById("notices"));
  const element = h("div", { class: options.bad ? "notice bad" : "notice" }, h("span", {}, text));
  let acted = false;
  const close = () => {
    clearTimeout(timer);
    element.remove();
    if (!acted) options.ended?.();
    acted = true;
  };
  if (options.action) {
    const [label, act] = options.action;
    element.append(button(label, label, () => { acted = true; close(); act(); }));
  }
  element.append(button("✕", "Close this message", close, { class: "plain", "aria-label": "Close this message" }));
  const timer = window.setTimeout(close, options.stays ?? SHOWN);
  corner.append(element);
  return close;
}
