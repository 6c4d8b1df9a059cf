// What a person decides before a job, in words; everything else has a default and lies behind “More”.

import { field, h, select } from "./dom.js";

const METHODS = [
  ["two-scale", "Raw scan", "Measures the noise along the scan, finds the lattice, then what departs from it. For raw STEM images of crystals."],
  ["paper", "As published", "Takes the noise for white. For counted or electronically clean images, and to compare with the paper."],
];
const PUBLISHED = ["components", "stacks", "threshold"]; // what only the method as published has
const SCANS = [
  ["auto", "As the method prefers", "Raw scan removes it, as published keeps it."],
  ["remove", "Remove row streaks", "They are an artefact of the scan."],
  ["keep", "Keep row streaks", "They may be data."],
];

export class Choices {
  /** @param {any} capabilities @param {any | null} signal @param {Record<string, any>} [start] parameters to begin with */
  constructor(capabilities, signal, start = {}) {
    const { params } = capabilities;
    const method = start.method ?? params.method.default;
    this.method = method === "paper" ? "paper" : "two-scale";
    this.scan = start.scan_noise ?? "auto";
    this.signal = signal;
    this.changed = () => {};
    const radio = (/** @type {string} */ name, /** @type {string[][]} */ options, /** @type {string} */ chosen, /** @type {(value: string) => void} */ choose) => options.map(([value, title, hint]) =>
      h("label", { class: "option", title: hint }, h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => { choose(value); this.changed(); } }), h("strong", {}, title), h("small", {}, hint)));
    this.frames = "each";
    this.numbers = Object.fromEntries([["patch_size", "Patch size, px", "Odd; found in the image if empty"], ["components", "Eigenpatches offered", "By default as many as can matter"], ["threshold", "Threshold", "Utility from which an eigenpatch is kept, 0 to 1"], ["stacks", "Stacks", "More than one: interim results while it runs"]]
      .map(([name, title, hint]) => [name, { title, hint, input: h("input", { type: "number", step: name === "threshold" ? "0.01" : "1", min: name === "threshold" ? 0 : name === "patch_size" ? 3 : 1, max: name === "threshold" ? 1 : null, value: start[name] ?? "", title: hint }) }]));
    this.axis = select("Fast scan", [["auto", "found"], ["x", "along the rows"], ["y", "along the columns"]], start.scan_axis ?? "auto", "Along which the fast scan runs", () => {});
    this.outliers = select("Hot pixels", [["keep", "keep as measured"], ["repair", "repair from neighbours"]], start.outliers ?? "keep", "Hot pixels and spikes, with method raw scan", () => {});
    this.model = select("Classifier", [["", "default"], ...capabilities.models.map((/** @type {string} */ name) => [name, name])], start.model ?? "", "The network that judges eigenpatches, with method as published", () => {});
    const text = (/** @type {string} */ title, /** @type {string} */ hint) => h("input", { type: "text", maxlength: 200, title: hint, placeholder: hint });
    this.names = { external_id: text("Your number", "e.g. LIMS-2025-0042"), sample_id: text("Specimen", "e.g. Si110-b"), label: text("Label", "e.g. instrument=STEM 2") };
    const stack = signal && signal.frames > 1;
    this.element = h("div", { class: "stack" },
      h("fieldset", { class: "stack" }, h("legend", {}, "Kind of image"), radio("method", METHODS, this.method, (value) => { this.method = value; this.fit(); })),
      h("fieldset", { class: "stack" }, h("legend", {}, "Row streaks of the scan"), radio("scan", SCANS, this.scan, (value) => { this.scan = value; })),
      stack && h("fieldset", { class: "stack" }, h("legend", {}, "Frames"), radio("frames", [["each", "Each by itself", "Every frame by its own eigenpatches."], ["joint", "Together", "Eigenpatches from all frames: better for many noisy frames of one specimen."]], "each", (value) => { this.frames = value; })),
      h("details", {}, h("summary", { title: "Parameters that have good defaults" }, "More"), h("div", { class: "fields" },
        Object.entries(this.numbers).map(([name, { title, hint, input }]) => Object.assign(field(title, input, hint), { method: PUBLISHED.includes(name) ? "paper" : "" })),
        Object.assign(field("Fast scan", this.axis), { method: "two-scale" }), Object.assign(field("Hot pixels", this.outliers), { method: "two-scale" }), Object.assign(field("Classifier", this.model), { method: "paper" }))),
      h("details", {}, h("summary", { title: "To find it again" }, "Names and labels"), h("div", { class: "fields" }, field("Your number", this.names.external_id), field("Specimen", this.names.sample_id), field("Label", this.names.label))));
    this.fit();
  }

  /** Show what the method has. */
  fit() {
    for (const each of this.element.querySelectorAll(".fields > label")) each.hidden = Boolean(each.method) && each.method !== this.method;
  }

  /** A job's parameters, without signal and frame. @returns {Record<string, any>} */
  get params() {
    const numbers = Object.entries(this.numbers).filter(([name]) => this.method === "paper" || !PUBLISHED.includes(name)).map(([name, { input }]) => [name, input.valueAsNumber]).filter(([, value]) => Number.isFinite(value));
    const paper = this.method === "paper";
    return { method: this.method, scan_noise: this.scan, ...Object.fromEntries(numbers), ...(paper ? {} : { scan_axis: this.axis.value, outliers: this.outliers.value }),
      ...(paper && this.model.value ? { model: this.model.value } : {}), ...(this.frames === "joint" ? { frames: "joint" } : {}) };
  }

  /** What a job is called. @returns {Record<string, any>} */
  get fields() {
    const { external_id, sample_id, label } = this.names;
    const [name, ...value] = label.value.trim().split("=");
    return { ...(external_id.value.trim() ? { external_id: external_id.value.trim() } : {}), ...(sample_id.value.trim() ? { sample_id: sample_id.value.trim() } : {}), ...(name ? { labels: { [name.trim()]: value.join("=").trim() } } : {}) };
  }
}
