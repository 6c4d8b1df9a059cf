// The page's frame: what lies at which address, who is asking, and the bar above.

import { forget, key, whoAmI, askJson } from "./parts/api.js";
import { button, fill, h } from "./parts/dom.js";
import { problem } from "./parts/problem.js";

/** @typedef {import("./parts/api.js").Caller} Caller */
/** @typedef {{ caller: Caller, at: string, query: URLSearchParams, signal: AbortSignal }} Visit What a view is opened with. */
/** @typedef {(place: HTMLElement, visit: Visit) => Promise<void>} View */

/** @type {Record<string, [() => Promise<{ view: View }>, string]>} */
const VIEWS = {
  "": [() => import("./views/start.js"), "New"],
  image: [() => import("./views/setup.js"), "Set up"],
  images: [() => import("./views/several.js"), "Set up"],
  job: [() => import("./views/job.js"), "Job"],
  jobs: [() => import("./views/history.js"), "History"],
  sessions: [() => import("./views/session.js"), "Live"],
  batch: [() => import("./views/batch.js"), "Batch"],
  admin: [() => import("./views/admin.js"), "Administration"],
  key: [() => import("./views/key.js"), "Key"],
  help: [() => import("./views/help.js"), "How to judge a result"],
};

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
let leaving = new AbortController();

/** Show what the address names. */
async function show() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  const [load, title] = VIEWS[name] ?? VIEWS[""];
  document.title = `${title} · REUCID`;
  /** @type {Caller} */
  let caller = { owner: null, scopes: new Set(), needsKey: key.get() !== "" };
  try {
    caller = await whoAmI();
  } catch (error) {
    bar(name, caller);
    if (signal.aborted) return;
    if (name !== "key" && name !== "help") {
      fill(main, h("div", { class: "narrow stack" }, problem(error, show)));
      if (/** @type {any} */ (error).status === 0) setTimeout(() => !signal.aborted && show(), 2000);
      return;
    }
  }
  if (signal.aborted) return;
  bar(name, caller);
  const place = h("div");
  fill(main, place);
  try {
    const { view } = await load();
    if (!signal.aborted) await view(place, { caller, at: decodeURIComponent(rest.join("/")), query: new URLSearchParams(query), signal });
  } catch (error) {
    if (!signal.aborted && /** @type {Error} */ (error).name !== "AbortError") fill(main, h("div", { class: "narrow stack" }, problem(error, show)));
  }
}

/** @param {string} current @param {Caller} caller */
function bar(current, caller) {
  const link = (/** @type {string} */ to, /** @type {string} */ text, /** @type {string} */ title) =>
    h("a", { href: `#/${to}`, title, "aria-current": current === to ? "page" : null }, text);
  const may = (/** @type {string} */ scope) => caller.scopes.has(scope) || caller.scopes.has("admin");
  fill(/** @type {Element} */ (document.getElementById("bar")),
    h("a", { class: "brand", href: "#/", title: "REUCID: denoise micrographs, invent nothing" }, h("img", { src: "static/icon.svg", alt: "" }), "REUCID"),
    h("nav", { "aria-label": "Main" },
      may("submit") && link("", "New", "Denoise images"),
      may("read") && link("sessions", "Live", "Denoising while the microscope scans"),
      may("read") && link("jobs", "History", "Your jobs"),
      link("help", "How to judge a result", "What a good and a bad result look like"),
      may("admin") && link("admin", "Administration", "Owners, keys, queue, workers, disk")),
    h("div", { class: "row" },
      button(document.documentElement.dataset.theme === "light" ? "Dark" : "Light", "Switch between dark and light", turnLights, { class: "plain" }),
      h("a", { class: "button plain", href: "#/key", title: "The key that this tab shows to the server" }, caller.needsKey ? `Key: ${caller.owner ?? "not accepted"}` : "Key")));
}

function turnLights() {
  const theme = document.documentElement.dataset.theme === "light" ? "dark" : "light";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("reucid-theme", theme);
  dispatchEvent(new Event("reucid-theme"));
  const pressed = document.querySelector("#bar button");
  if (pressed) pressed.textContent = theme === "light" ? "Dark" : "Light";
}

document.documentElement.dataset.theme = localStorage.getItem("reucid-theme") ?? "dark";
addEventListener("hashchange", () => { window.scrollTo(0, 0); show(); });
addEventListener("reucid-key", () => { forget(); show(); });
document.getElementById("skip")?.addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
askJson("v1/version").then(({ version }) => fill(/** @type {Element} */ (document.getElementById("foot")),
  `REUCID ${version}`, h("span", {}, "Every result is a linear filter of what was measured; the network only judges eigenpatches."),
  h("a", { href: "docs", title: "The API's documentation" }, "API"))).catch(() => {});
show();
