// A live session: the newest frame, raw and denoised, as its rows come; the last results; and its end.

import { ask, askJson } from "../parts/api.js";
import { Frame } from "../parts/canvas.js";
import { button, fill, h, select } from "../parts/dom.js";
import { problem } from "../parts/problem.js";
import { told } from "./job.js";

const WAIT = 20; // s that the server may wait for the next result
const AGAIN = 1000; // ms before the server is asked again after it did not answer
const LOOK = 250; // ms between two looks at the clock
const TYPES = { "|u1": Uint8Array, "<u2": Uint16Array, "<i2": Int16Array, "<u4": Uint32Array, "<f4": Float32Array };

/** @typedef {{ sequence: number, frame: number }} Held */

/** @type {import("../main.js").View} */
export async function view(place, visit) {
  if (!visit.at) return list(place, visit);
  const { at: id, caller, signal } = visit;
  const here = `v1/sessions/${id}`;
  const session = await askJson(here, { signal });
  const may = caller.scopes.has("submit") || caller.scopes.has("admin");
  const [rows, columns] = session.shape;
  const [raw, denoised] = ["raw", "denoised"].map((name) => new Frame(h("canvas", { "aria-label": name, class: "live" }), rows, columns));
  const line = h("p", { role: "status" });
  const counts = h("p", { class: "quiet", "data-counts": "" });
  const message = h("div");
  const jobs = h("ul", {});
  const filling = h("progress", { max: rows, value: 0, "aria-label": "Rows of the newest frame" });
  const slider = h("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Last results", title: "The last results; at the right the newest", oninput: () => look() });
  const which = h("span", { class: "quiet" }, "newest");
  const what = select("Keep", [["last", "last frame"], ["stack", "stack of held frames"], ["sum", "sum of held frames"]], "last", "What becomes a job", () => {});
  const keep = button("Keep this", "Make a job of it, and go on", () => made("keep"));
  const stop = button("Stop here", "Make a job of it, and end the session", () => made("close"), { class: "primary" });
  document.title = `Live ${id.slice(0, 8)} · REUCID`;
  fill(place, h("div", { class: "stack" },
    h("section", { class: "card stack", "aria-label": "Live" }, h("div", { class: "row spread" }, h("h1", {}, "Live"), may && h("div", { class: "row" }, what, keep, stop)), line, filling, counts, jobs, message),
    h("div", { class: "lives" }, [raw, denoised].map(({ canvas }, n) => h("figure", {}, h("figcaption", {}, n ? "denoised" : "raw"), canvas))),
    h("label", { class: "row" }, "Last results", slider, which)));

  let after = 0;
  let restarts = session.restarts;
  let age = 0; // ms, when it was told
  let toldAt = 0;
  let newest = "";
  /** @type {Held[]} */
  let held = [];
  let over = session.state !== "open";
  let asking = new AbortController();
  signal.addEventListener("abort", () => asking.abort());

  const paused = () => Number(slider.value) < Number(slider.max);

  /** @param {Response} answer */
  async function show(answer) {
    const frame = Number(answer.headers.get("Reucid-Frame"));
    const [first, last] = (answer.headers.get("Reucid-Rows") ?? "0-0").split("-").map(Number);
    denoised.show(new Float32Array(await answer.arrayBuffer()));
    const measured = await ask(`${here}/frames/${frame}`, { signal: asking.signal }).catch((error) => (error.status === 404 ? null : Promise.reject(error)));
    const type = TYPES[/** @type {keyof typeof TYPES} */ (measured?.headers.get("Reucid-Dtype"))];
    if (measured && type) raw.show(new type(await measured.arrayBuffer()), last + 1);
    return { frame, first, last };
  }

  /** Show the result that the slider names. */
  async function look() {
    const chosen = held[Number(slider.value)];
    which.textContent = paused() && chosen ? `frame ${chosen.frame}` : "newest";
    if (!paused() || !chosen) return;
    await ask(`${here}/results/${chosen.sequence}`, { signal: asking.signal }).then(show).catch(() => { which.textContent = `frame ${chosen.frame} is not held any more`; });
  }

  /** @param {Held} result */
  function remember(result) {
    if (held.at(-1)?.sequence === result.sequence) return; // it was there when the page was opened
    const follows = !paused();
    held = [...held, result].slice(-session.history);
    slider.max = String(held.length);
    if (follows) slider.value = slider.max;
  }

  /** @param {Response} answer */
  function count({ headers }) {
    const number = (/** @type {string} */ name) => Number(headers.get(`Reucid-${name}`) ?? 0);
    counts.textContent = `${number("Received")} frames received, ${number("Processed")} shown whole, ${number("Superseded")} shown in part, ${number("Dropped")} dropped.`;
    counts.dataset.counts = String(number("Dropped"));
    if (number("Restarts") > restarts) {
      restarts = number("Restarts");
      fill(message, h("p", { class: "banner", role: "status" }, `A worker was lost; another goes on (${restarts}).`));
    }
  }

  async function follow() {
    while (!asking.signal.aborted && !over) {
      try {
        const answer = await ask(`${here}/latest?after=${after}&wait=${WAIT}`, { signal: asking.signal });
        count(answer);
        if (answer.status === 204) continue;
        after = Number(answer.headers.get("Reucid-Sequence"));
        [age, toldAt] = [Number(answer.headers.get("Reucid-Age-Ms")), performance.now()];
        if (paused()) {
          remember({ sequence: after, frame: Number(answer.headers.get("Reucid-Frame")) });
          continue;
        }
        const { frame, last } = await show(answer);
        filling.value = last + 1;
        newest = `Frame ${frame}, ${last + 1 < rows ? `rows to ${last}` : "whole"}${answer.headers.get("Reucid-Undenoised") === "true" ? ", not denoised yet" : ""}`;
        if (last + 1 === rows) remember({ sequence: after, frame });
        fill(message);
      } catch (error) {
        const refusal = /** @type {any} */ (error);
        if (refusal.name === "AbortError") return;
        if (refusal.code === "session_closed" || refusal.status === 404) return ended();
        fill(message, problem(error));
        await new Promise((resolve) => setTimeout(resolve, AGAIN));
      }
    }
  }

  async function ended() {
    over = true;
    asking.abort();
    keep.disabled = stop.disabled = slider.disabled = true;
    const now = await askJson(here, { signal }).catch(() => null);
    line.textContent = now ? `The session has ended (${now.reason}).` : "The session is gone.";
    for (const job of now?.jobs ?? []) tell(job);
  }

  /** @param {string} job */
  function tell(job) {
    if (![...jobs.children].some((/** @type {any} */ item) => item.dataset.job === job)) jobs.append(h("li", { "data-job": job }, h("a", { href: `#/job/${job}` }, `Job ${job.slice(0, 8)}`)));
  }

  /** @param {"keep" | "close"} how */
  async function made(how) {
    keep.disabled = stop.disabled = true;
    over = how === "close";
    if (over) asking.abort(); // nothing is asked of a session that has ended
    try {
      const answer = await askJson(`${here}/${how}`, { json: { keep: what.value } });
      if (how === "close") await ended();
      else tell(answer.id);
    } catch (error) {
      if (over) {
        over = false;
        asking = new AbortController();
        follow();
      }
      told(error);
    }
    if (!over) keep.disabled = stop.disabled = false;
  }

  const clock = setInterval(() => {
    if (!over) line.textContent = newest ? `${newest}, ${((age + performance.now() - toldAt) / 1000).toFixed(1)} s old.` : "Waiting for the first rows…";
  }, LOOK);
  signal.addEventListener("abort", () => clearInterval(clock));
  session.jobs.forEach(tell);
  if (over) await ended();
  else {
    held = (await askJson(`${here}/results`, { signal })).results;
    slider.max = String(held.length); // before the value, which it bounds
    slider.value = slider.max;
    follow();
  }
}

/** The sessions that are open. @type {import("../main.js").View} */
async function list(place, { signal }) {
  const { sessions } = await askJson("v1/sessions?state=open", { signal });
  fill(place, h("div", { class: "stack narrow" }, h("h1", {}, "Live"),
    sessions.length ? h("ul", {}, sessions.map((/** @type {any} */ each) => h("li", {}, h("a", { href: `#/sessions/${each.id}` }, each.external_id ?? each.sample_id ?? each.id.slice(0, 8)), ` ${each.shape.join(" × ")} px, since ${new Date(each.created_at).toLocaleTimeString()}`)))
      : h("p", { class: "quiet" }, "No session is open. The microscope's program opens one; to see how it looks, run “reucid live simulate”.")));
}
