// Numbers, sizes, times and refusals in words.

/** The shortest decimal that is this float32. @param {number} value */
export function exactly(value) {
  if (!Number.isFinite(value)) return String(value);
  for (let digits = 1; digits < 9; digits++) {
    const text = Number(value.toPrecision(digits));
    if (Math.fround(text) === value) return String(text);
  }
  return String(Number(value.toPrecision(9)));
}

/** @param {number} value @param {number} [digits] */
export function about(value, digits = 4) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e7) ? value.toExponential(digits - 1) : String(Number(value.toPrecision(digits)));
}

/** @param {number} bytes */
export function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let step = 0;
  for (; bytes >= 1024 && step < 4; step++) bytes /= 1024;
  return `${Number(bytes.toPrecision(3))} ${units[step]}`;
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 90) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Number((seconds / 3600).toPrecision(2))} h`;
}

/** @param {string | null} moment ISO */
export function when(moment) {
  if (!moment) return "–";
  return new Date(moment).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** @param {number[]} shape */
export const shapeOf = (shape) => (shape.length === 3 ? `${shape[0]} frames of ${shape[1]} × ${shape[2]} px` : `${shape[0]} × ${shape[1]} px`);

/** @param {string | null} unit */
export const unitOf = (unit) => (unit === "um" ? "µm" : unit === "A" ? "Å" : unit ?? "px");

/** @param {any} params a job's */
export function decisions(params) {
  const published = params.engine === "stacked" || params.stacks || params.components || params.model; // what method `auto` goes by
  const method = params.method === "auto" ? (published ? "paper" : "two-scale") : params.method;
  return { method, scan: params.scan_noise === "auto" ? (method === "two-scale" ? "remove" : "keep") : params.scan_noise };
}

/** A job's method, as people choose it. @param {any} params a job's */
export const methodOf = (params) => (decisions(params).method === "paper" ? "as published" : "raw scan");

const STATES = { queued: "waiting", running: "running", succeeded: "done", failed: "failed", canceled: "canceled" };
/** @param {string} state */
export const stateOf = (state) => STATES[/** @type {keyof typeof STATES} */ (state)] ?? state;

/** What happened, and what to do about it. @param {any} error @returns {{ title: string, detail: string, advice: string, kind: string }} */
export function explain(error) {
  const detail = sentence(String(error?.message ?? error));
  const status = error?.status;
  const told = (/** @type {string} */ title, /** @type {string} */ advice, kind = "problem") => ({ title, detail, advice, kind });
  if (status === 0) return told("The server does not answer", "It may be restarting: nothing that it accepted is lost. This page goes on by itself when it is back.", "away");
  if (status === 401) return told("The server does not know you", "Enter your key. Whoever runs the server makes keys: “reucid keys create”, or on the administration page.", "key");
  if (status === 403) return told("Your key does not allow this", "Ask whoever runs the server for a key with this scope.", "key");
  if (error?.code === "not_sent") return told("This was not sent", "", "problem");
  if (status === 404) return told("There is nothing here", "The address may be mistyped, it may have been deleted, or it belongs to another key's owner.");
  if (status === 410) return told("This has expired", "Results are kept for a limited time. Upload the file again, or start the job anew if its image is still here.");
  if (status === 413) return told("This file is too large", "Whoever runs the server can raise the limit; or send a part of the file.");
  if (status === 415) return told("This kind of file is not known", "Export it as TIFF, MRC or HSPY from your microscope's software.");
  if (status === 422) return told("The server cannot take this", "Change what is named above and try again.");
  if (status === 429) return told("The server is busy", `Try again in ${error.retryAfter || 10} seconds.`);
  if (status === 507) return told("The server's disk is full, or your share of it is used", "Delete jobs that you no longer need, or ask whoever runs the server.");
  if (status === 409) return told("Not now", "Wait until it has ended, then try again.");
  if (status >= 500) return told("The server failed", "Try again. If it happens again, tell whoever runs the server when it happened.");
  return told("Something went wrong in this page", "Reload it. If it happens again, tell whoever runs the server.");
}

/** @param {string} text */
function sentence(text) {
  const said = text.trim();
  return said ? said[0].toUpperCase() + said.slice(1) + (/[.!?]$/.test(said) ? "" : ".") : "";
}
