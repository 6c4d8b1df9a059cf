// The eigenpatches a result rests on, with their verdicts; a click turns one, and the image follows.

import { ask, askJson, askPixels, capabilities } from "../parts/api.js";
import { button, fill, h, select } from "../parts/dom.js";
import { notice } from "../parts/notices.js";
import { about } from "../parts/words.js";
import { paint } from "../viewer/colormaps.js";
import { axis, colour, plotting } from "../viewer/plots.js";
import { Pyramid } from "../viewer/pyramid.js";
import { told } from "./job.js";

const CELL = 64; // px, of a drawn eigenpatch
const PLOT = 210; // px
const LEAST = 24; // patches that are shown
const MORE = 10; // beyond the last one that is kept
const FEW = 4; // that are not worth a button of their own
const TABS = 6; // stacks that have one each

export class Eigenpatches {
  /**
   * @param {import("./job.js").Known} known
   * @param {any} report of the image, or of the frame that is shown
   * @param {number | null} frame
   * @param {AbortSignal} left
   * @param {(preview: Pyramid | null, told: any) => void} preview shows what the image would be; with the report as it would be
   */
  constructor(known, report, frame, left, preview) {
    Object.assign(this, { known, report, frame, left, preview });
    this.known = known;
    this.report = report;
    this.frame = frame;
    this.left = left;
    this.preview = preview;
    this.stacks = [...report.stack_reports, ...(report.recovery ? [report.recovery.stack_report] : [])];
    this.stack = this.stacks[0];
    /** @type {Map<string, boolean>} verdicts that a person has turned, by stack and index from 1 */
    this.turned = new Map();
    /** @type {string[]} in the order in which they were turned */
    this.steps = [];
    this.banner = h("div", { class: "banner", hidden: true, role: "status" });
    this.scree = h("div", { class: "plot", role: "img", "aria-label": "Scree plot: singular values over the noise floor" });
    this.grid = h("div", { class: "gallery" });
    this.summary = h("p", { class: "quiet small" });
    this.whole = false;
    this.canRevise = known.may;
    this.asking = false;
    /** @type {number | null} px of an image that is made anew at a click */
    this.most = null;
    capabilities().then(({ limits }) => { this.most = limits.max_raw_pixels; }, () => {});
    const tabs = this.stacks.length > 1 && h("div", { class: "row" }, "Of", this.stacks.length <= TABS
      ? this.stacks.map((each, index) => button(this.titleOf(index), "Show these eigenpatches", (event) => { for (const other of /** @type {HTMLElement} */ (/** @type {HTMLElement} */ (event.target).parentElement).children) other.setAttribute("aria-pressed", String(other === event.target)); this.turnTo(each); }, { "aria-pressed": String(index === 0) }))
      : select("Stack", this.stacks.map((_, index) => [String(index), this.titleOf(index)]), "0", "Stack whose eigenpatches are shown", (index) => this.turnTo(this.stacks[Number(index)])));
    this.element = h("section", { class: "card stack", "aria-label": "Eigenpatches" },
      h("div", { class: "row spread" }, h("h2", {}, "Eigenpatches"), tabs), this.summary, this.banner,
      h("div", { class: "scree" }, h("div", {}, this.scree, h("p", { class: "quiet small" }, "Singular values over the noise floor. What noise alone makes lies at 1; kept ones are filled.")), this.grid));
    this.draw();
  }

  /** @param {any} stack */
  turnTo(stack) {
    this.stack = stack;
    this.draw();
  }

  /** @param {number} index */
  titleOf(index) {
    if (!this.report.recovery) return `stack ${this.stacks[index].stack}`;
    return index === this.stacks.length - 1 ? "departures" : "the lattice";
  }

  /** @param {number} index from 1 */
  kept(index, stack = this.stack) {
    return this.turned.get(`${stack.stack}/${index}`) ?? stack.kept[index - 1];
  }

  /** Singular values over that of the noise. @param {any} stack */
  ratios(stack) {
    if (String(this.report.model).startsWith("noise floor")) return stack.utilities.map((/** @type {number} */ utility) => Math.sqrt(1 / Math.max(1e-9, 1 - utility)));
    const values = stack.singular_values;
    const tail = [...values.slice(-Math.max(1, Math.floor(values.length / 4)))].sort((a, b) => a - b);
    return values.map((/** @type {number} */ value) => value / (tail[tail.length >> 1] || 1));
  }

  draw() {
    const { stack } = this;
    const ratios = this.ratios(stack);
    const kept = stack.kept.filter((/** @type {boolean} */ _, /** @type {number} */ index) => this.kept(index + 1)).length;
    this.summary.textContent = `${kept} of ${stack.kept.length} kept, from ${stack.n_patches.toLocaleString("en")} patches.${this.canRevise ? " Click one to turn its verdict and see what the image would be." : ""} Under each: its utility, and × its singular value over the noise floor.`;
    const focus = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.index;
    const last = stack.kept.reduce((/** @type {number} */ most, /** @type {boolean} */ _, /** @type {number} */ at) => (this.kept(at + 1) ? at + 1 : most), 0);
    const some = Math.max(LEAST, last + MORE);
    const shown = this.whole || some + FEW >= stack.kept.length ? stack.kept.length : some;
    fill(this.grid, stack.kept.slice(0, shown).map((/** @type {boolean} */ _, /** @type {number} */ at) => {
      const index = at + 1;
      const turned = this.turned.has(`${stack.stack}/${index}`);
      const verdict = this.kept(index);
      const person = stack.judged_by?.[at] === "person";
      return h("button", { type: "button", class: turned || person ? "patch turned" : "patch", "aria-pressed": String(verdict), disabled: !this.canRevise, "data-index": index, onclick: () => this.turn(index),
        title: `Eigenpatch ${index}: ${verdict ? "kept" : "dropped"}${turned ? " by you" : person ? " by a person" : ""}; utility ${about(stack.utilities[at], 3)}, ${about(ratios[at], 3)} times the noise floor`, "aria-label": `Eigenpatch ${index}, ${verdict ? "kept" : "dropped"}` },
      h("canvas", { width: CELL, height: CELL, "aria-hidden": "true" }), h("span", {}, `${index}: ${stack.utilities[at].toFixed(2)}`), h("span", { class: turned || person ? "who" : "quiet" }, turned ? `${verdict ? "kept" : "dropped"} by you` : person ? "by a person" : `×${about(ratios[at], 3)}`));
    }));
    if (shown < stack.kept.length) this.grid.append(button(`All ${stack.kept.length}`, "Show the others, too", () => { this.whole = true; this.draw(); }));
    if (focus) this.grid.querySelector(`[data-index="${focus}"]`)?.focus();
    this.drawPatches();
    this.plot(ratios);
  }

  /** Draw the numbers of the patches; the sign of each is arbitrary, so the one with more light. */
  async drawPatches() {
    const { stack, frame, known, grid } = this;
    /** @type {Promise<{ pixels: Float32Array, shape: number[] }>} */
    const asked = (stack.numbers ??= askPixels(`v1/jobs/${known.job.id}/eigenpatches`, { stack: stack.stack, ...(frame === null ? {} : { frame }) }, { signal: this.left }));
    const { pixels, shape: [, rows, columns] } = await asked.catch(() => ({ pixels: new Float32Array(), shape: [0, 0, 0] }));
    if (this.stack !== stack || !rows) return;
    grid.querySelectorAll("canvas").forEach((/** @type {any} */ canvas, /** @type {number} */ at) => {
      const patch = pixels.subarray(at * rows * columns, (at + 1) * rows * columns);
      const most = patch.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
      const sign = patch.reduce((a, b) => a + b, 0) < 0 ? -1 : 1;
      paint(canvas, patch, [rows, columns], -most * sign, most * sign, "gray");
    });
  }

  /** @param {number[]} ratios */
  async plot(ratios) {
    const uPlot = await plotting();
    const index = ratios.map((_, at) => at + 1);
    const split = (/** @type {boolean} */ wanted) => ratios.map((value, at) => (this.kept(at + 1) === wanted ? value : null));
    fill(this.scree);
    new uPlot({
      width: Math.max(240, this.scree.clientWidth || 320), height: PLOT, legend: { show: false }, cursor: { drag: { x: false, y: false } }, scales: { x: { time: false, range: [0, ratios.length + 1] }, y: { distr: 3 } },
      series: [{}, { stroke: colour("line"), width: 1, points: { show: false } }, { stroke: colour("good"), width: 0, paths: () => null, points: { show: true, size: 8, fill: colour("good") } }, { stroke: colour("quiet"), width: 0, paths: () => null, points: { show: true, size: 6, fill: colour("panel") } }, { stroke: colour("warn"), width: 1, dash: [6, 4], points: { show: false } }],
      axes: [axis({ label: "eigenpatch", labelSize: 16, size: 32 }), axis({ size: 54 })],
    }, [index, ratios, split(true), split(false), ratios.map(() => 1)], this.scree);
  }

  /** @param {number} index */
  turn(index) {
    const name = `${this.stack.stack}/${index}`;
    if (this.turned.has(name)) this.turned.delete(name);
    else this.turned.set(name, !this.stack.kept[index - 1]);
    this.steps.push(name);
    this.say("Asking for the image…");
    this.ask(); // before anything is drawn here
    this.draw();
  }

  undo() {
    const name = this.steps.pop();
    if (!name) return;
    const [stack, index] = name.split("/").map(Number);
    if (this.turned.has(name)) this.turned.delete(name);
    else this.turned.set(name, !this.stacks.find((each) => each.stack === stack).kept[index - 1]);
    this.draw();
    this.ask();
  }

  reset() {
    this.turned.clear();
    this.steps = [];
    this.draw();
    this.ask();
  }

  /** What a person has decided otherwise, as the server takes it. */
  get revision() {
    /** @type {{ keep: Record<string, number[]>, drop: Record<string, number[]>, frame?: number }} */
    const revision = { keep: {}, drop: {} };
    for (const [name, kept] of this.turned) {
      const [stack, index] = name.split("/");
      (revision[kept ? "keep" : "drop"][stack] ??= []).push(Number(index));
    }
    if (this.frame !== null) revision.frame = this.frame;
    return revision;
  }

  /** Ask at once for what the image would be; of several turns in the meantime the last one counts. */
  async ask() {
    if (this.asking) return;
    this.asking = true;
    try {
      for (let before = ""; before !== this.wanted && !this.left.aborted;) {
        before = this.wanted;
        await this.show();
      }
    } catch (error) {
      if (/** @type {Error} */ (error).name === "AbortError") return;
      this.say("The image could not be made.");
      told(error);
    } finally {
      this.asking = false;
    }
  }

  get wanted() {
    return JSON.stringify([...this.turned]);
  }

  /** Show what the image would be. */
  async show() {
    if (!this.turned.size) {
      this.banner.hidden = true;
      return this.preview(null, this.report);
    }
    const { job, signal } = this.known;
    const shape = signal.shape.slice(-2);
    const yours = `${this.turned.size} ${this.turned.size === 1 ? "verdict is" : "verdicts are"} yours`;
    this.most ??= (await capabilities()).limits.max_raw_pixels;
    if (shape[0] * shape[1] > /** @type {number} */ (this.most)) return this.say(`${yours}. An image of this size is not made anew at each click: keep them as a new job to see it.`);
    const wanted = this.wanted;
    const answer = await ask(`v1/jobs/${job.id}/revise/preview`, { json: this.revision, signal: this.left });
    const pixels = new Float32Array(await answer.arrayBuffer());
    if (this.left.aborted || wanted !== this.wanted) return;
    this.preview(Pyramid.of(pixels, shape), { ...this.report, stack_reports: this.report.stack_reports.map((/** @type {any} */ each) => ({ ...each, kept: each.kept.map((/** @type {boolean} */ _, /** @type {number} */ at) => this.kept(at + 1, each)) })) });
    this.say(`${yours}; the views show what the image would be. Nothing is changed yet.`);
  }

  /** @param {string} text */
  say(text) {
    this.banner.hidden = this.turned.size === 0;
    fill(this.banner, h("span", {}, text), button("Undo", "Take the last turn back", () => this.undo()), button("Take all back", "Back to the verdicts of the result", () => this.reset()), button("Keep as a new job", "Make a job of it; report and provenance say which verdicts are yours", () => this.keep(), { class: "primary" }));
  }

  async keep() {
    try {
      const job = await askJson(`v1/jobs/${this.known.job.id}/revise`, { json: this.revision });
      notice("A new job with your verdicts was made; this one stays as it is.");
      location.hash = `#/job/${job.id}`;
    } catch (error) {
      told(error);
    }
  }
}
