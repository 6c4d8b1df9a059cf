// Files to the server: what belongs together, what is too large, and how far it has come.

import { Refusal, address, authorization, capabilities } from "./api.js";
import { size } from "./words.js";

/** @typedef {{ name: string, files: File[] }} Upload one image: a file, or an EMI with its SER */

/** Which files make one image. @param {File[]} files @returns {Upload[]} */
export function grouped(files) {
  const stem = (/** @type {string} */ name) => name.replace(/\.[^.]*$/, "");
  const leaders = files.filter(({ name }) => /\.emi$/i.test(name));
  const belongs = (/** @type {File} */ file, /** @type {File} */ emi) => /\.ser$/i.test(file.name) && stem(file.name).replace(/_\d+$/, "") === stem(emi.name);
  const taken = new Set(leaders);
  const groups = leaders.map((emi) => {
    const series = files.filter((file) => belongs(file, emi));
    for (const file of series) taken.add(file);
    return { name: emi.name, files: [emi, ...series] };
  });
  return [...groups, ...files.filter((file) => !taken.has(file)).map((file) => ({ name: file.name, files: [file] }))];
}

/** What would be refused anyway, before a byte is sent. @param {Upload} upload */
export async function check(upload) {
  const { limits } = await capabilities();
  const bytes = upload.files.reduce((sum, file) => sum + file.size, 0);
  if (/\.emi$/i.test(upload.name) && upload.files.length === 1) throw new Refusal(422, "not_sent", `“${upload.name}” holds only what is known of the image; the image is in “${upload.name.replace(/\.emi$/i, "_1.ser")}”. Drop both together, or the SER alone`);
  if (bytes === 0) throw new Refusal(422, "empty", `“${upload.name}” is empty`);
  if (limits.max_upload && bytes > limits.max_upload) {
    throw new Refusal(413, "too_large", `“${upload.name}” has ${size(bytes)}, the server takes ${size(limits.max_upload)}; nothing was sent`, { name: "max_upload", value: limits.max_upload, got: bytes });
  }
  if (limits.max_files && upload.files.length > limits.max_files) throw new Refusal(422, "too_many_files", `“${upload.name}” has ${upload.files.length} files, the server takes ${limits.max_files} of one image`);
}

/**
 * @param {Upload} upload
 * @param {(share: number) => void} progress
 * @param {AbortSignal} signal
 * @returns {Promise<any>} the image
 */
export async function send(upload, progress, signal) {
  await check(upload);
  const form = new FormData();
  for (const file of upload.files) form.append("file", file, file.name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of how far it is
    request.open("POST", address("v1/images"));
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress(event.total ? event.loaded / event.total : 0);
    request.onerror = () => reject(new Refusal(0, "unreachable", `the connection broke while “${upload.name}” was sent`));
    request.onload = () => {
      const answer = parsed(request.responseText);
      if (request.status < 300) resolve(answer);
      else reject(new Refusal(request.status, answer.code ?? "", answer.detail ?? `the server answered ${request.status}`, answer.limit ?? null, Number(request.getResponseHeader("Retry-After")) || 0));
    };
    signal.addEventListener("abort", () => { request.abort(); reject(new DOMException("left", "AbortError")); });
    request.send(form);
  });
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
