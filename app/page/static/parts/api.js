// The server, as the page asks it. The key lies in the session storage and goes into a header, never into an address.

const KEY = "reucid-key";
const BASE = new URL(".", document.baseURI).href;

/** What a server refuses, or that it cannot be reached (status 0). */
export class Refusal extends Error {
  /** @param {number} status @param {string} code @param {string} detail @param {{ name: string, value: any, got: any } | null} [limit] @param {number} [retryAfter] s */
  constructor(status, code, detail, limit = null, retryAfter = 0) {
    super(detail);
    this.status = status;
    this.code = code;
    this.limit = limit;
    this.retryAfter = retryAfter;
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (/** @type {string} */ value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

/** The address of something of the API, whatever path a proxy publishes the server under. @param {string} path as in `v1/jobs` */
export const address = (path) => new URL(path.replace(/^\//, ""), BASE).href;

/** @returns {Record<string, string>} */
export const authorization = () => (key.get() ? { Authorization: `Bearer ${key.get()}` } : {});

/**
 * @param {string} path
 * @param {RequestInit & { json?: any }} [options]
 * @returns {Promise<Response>}
 */
export async function ask(path, options = {}) {
  const { json, headers, ...rest } = options;
  const body = json === undefined ? {} : { method: "POST", body: JSON.stringify(json) };
  const typed = json === undefined ? {} : { "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(address(path), { ...body, ...rest, headers: { ...authorization(), ...typed, .../** @type {any} */ (headers) } });
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") throw error;
    throw new Refusal(0, "unreachable", "the server does not answer");
  }
  if (!answer.ok && answer.status !== 304) throw await refusal(answer);
  return answer;
}

/** @param {Response} answer */
async function refusal(answer) {
  const retry = Number(answer.headers.get("Retry-After")) || 0;
  try {
    const problem = await answer.json();
    return new Refusal(answer.status, problem.code ?? "", problem.detail ?? answer.statusText, problem.limit ?? null, retry);
  } catch {
    return new Refusal(answer.status, "", `the server answered ${answer.status} ${answer.statusText}`, null, retry);
  }
}

/** @param {string} path @param {RequestInit & { json?: any }} [options] @returns {Promise<any>} */
export async function askJson(path, options) {
  const answer = await ask(path, options);
  return answer.status === 204 ? null : answer.json();
}

/**
 * Raw pixels of something: little-endian float32.
 * @param {string} path may hold a query
 * @param {Record<string, any>} query
 * @param {RequestInit} [options]
 * @returns {Promise<{ pixels: Float32Array, shape: number[] }>}
 */
export async function askPixels(path, query, options) {
  const stated = Object.entries({ format: "raw", ...query }).filter(([, value]) => value !== null && value !== undefined);
  const answer = await ask(`${path}${path.includes("?") ? "&" : "?"}${new URLSearchParams(stated.map(([name, value]) => [name, String(value)]))}`, options);
  const shape = (answer.headers.get("Reucid-Shape") ?? "").split(",").map(Number);
  return { pixels: new Float32Array(await answer.arrayBuffer()), shape };
}

/** A picture that the server drew. @param {string} path @param {RequestInit} [options] */
export async function askPicture(path, options) {
  return createImageBitmap(await (await ask(path, options)).blob());
}

/** @typedef {{ owner: string | null, scopes: Set<string>, needsKey: boolean }} Caller */

/** Who the server takes us for. @returns {Promise<Caller>} */
export async function whoAmI() {
  const { owner, scopes } = await askJson("v1/caller");
  return { owner, scopes: new Set(scopes), needsKey: key.get() !== "" };
}

/** @type {Promise<any> | null} */
let known = null;

/** What the server can do; asked once. */
export function capabilities() {
  known ??= askJson("v1/capabilities").catch((error) => {
    known = null;
    throw error;
  });
  return known;
}

/** Forget what was asked with another key. */
export function forget() {
  known = null;
}
