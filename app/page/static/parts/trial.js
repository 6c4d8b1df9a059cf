// A trial: a small part of the image goes the whole way as a job of its own, and is deleted again when it has been seen.

import { ask, askJson, askPixels } from "./api.js";
import { npy } from "./npy.js";

export const TRIAL = "trial"; // name of the label that trials carry
const SIDE = 256; // px
const LEAST = 48;
const WAIT = 30; // s

/** The part that is tried: what was marked, or the middle of what is in view; neither tiny nor large. @param {any} view */
export function partOf(view) {
  const [top, left, bottom, right] = view.region ?? view.window();
  const [rows, columns] = view.shape;
  const cut = (/** @type {number} */ low, /** @type {number} */ high, /** @type {number} */ length) => {
    const side = Math.min(length, Math.max(LEAST, Math.min(view.region ? 2 * SIDE : SIDE, high - low)));
    const start = Math.min(length - side, Math.max(0, Math.round((low + high - side) / 2)));
    return [start, start + side];
  };
  const [first, last] = [cut(top, bottom, rows), cut(left, right, columns)];
  return [first[0], last[0], first[1], last[1]];
}

/** @param {string} path of the pixels @param {Record<string, any>} query @param {number[]} region @param {Record<string, any>} params @param {string} image @param {AbortSignal} signal */
export async function attempt(path, query, region, params, image, signal) {
  const { pixels, shape } = await askPixels(path, { ...query, region, reduce: 1 }, { signal });
  const form = new FormData();
  form.append("file", npy(pixels, shape), "trial.npy");
  const { frames: _, ...rest } = params;
  form.append("params", JSON.stringify(rest));
  form.append("labels", JSON.stringify({ [TRIAL]: image }));
  let job = await (await ask("v1/jobs", { method: "POST", body: form, headers: { Prefer: `wait=${WAIT}` }, signal })).json();
  while (["queued", "running"].includes(job.state)) job = await askJson(`v1/jobs/${job.id}?wait=${WAIT}`, { signal });
  return job;
}

/** Leave nothing of a trial behind. @param {any} job */
export async function discard(job) {
  await ask(`v1/jobs/${job.id}`, { method: "DELETE", keepalive: true });
  await ask(`v1/images/${job.image_id}`, { method: "DELETE", keepalive: true });
}

