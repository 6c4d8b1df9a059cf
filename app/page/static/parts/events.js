// Server-sent events read with fetch, since EventSource cannot show a key. A stream that breaks goes on where it was.

import { ask } from "./api.js";

const FIRST_PAUSE = 500; // ms
const LONGEST_PAUSE = 5000;
const ENDS = ["succeeded", "failed", "canceled"];

/**
 * @param {string} path
 * @param {(type: string, data: any) => void} tell
 * @param {AbortSignal} signal
 * @param {(away: any) => void} [lost] called with the error when the stream breaks, with null when it is back
 */
export async function follow(path, tell, signal, lost = () => {}) {
  let last = "0";
  let pause = FIRST_PAUSE;
  while (!signal.aborted) {
    const watching = new AbortController(); // a tab that nobody sees keeps no connection: a browser has few
    const unseen = () => document.hidden && watching.abort();
    const stop = () => watching.abort();
    try {
      await seen();
      document.addEventListener("visibilitychange", unseen);
      signal.addEventListener("abort", stop);
      const answer = await ask(path, { headers: { Accept: "text/event-stream", "Last-Event-ID": last }, signal: watching.signal });
      lost(null);
      pause = FIRST_PAUSE;
      for await (const event of events(answer)) {
        last = event.id || last;
        tell(event.type, event.data);
        if (ENDS.includes(event.type)) return;
      }
    } catch (error) {
      const { name, status } = /** @type {any} */ (error);
      if (name === "AbortError") continue;
      if (status >= 400 && status < 500 && status !== 429) throw error;
      lost(error);
    } finally {
      document.removeEventListener("visibilitychange", unseen);
      signal.removeEventListener("abort", stop);
    }
    await new Promise((wake) => setTimeout(wake, pause));
    pause = Math.min(LONGEST_PAUSE, 2 * pause);
  }
}

/** Until the tab is seen. */
async function seen() {
  while (document.hidden) await new Promise((wake) => document.addEventListener("visibilitychange", wake, { once: true }));
}

/** @param {Response} answer */
async function* events(answer) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  const decoder = new TextDecoder();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    held += decoder.decode(value, { stream: true }).replaceAll("\r\n", "\n");
    for (let end = held.indexOf("\n\n"); end >= 0; end = held.indexOf("\n\n")) {
      const event = parsed(held.slice(0, end));
      held = held.slice(end + 2);
      if (event) yield event;
    }
  }
}

/** @param {string} block */
function parsed(block) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ /, "");
  }
  return fields.data === undefined ? null : { id: fields.id ?? "", type: fields.event ?? "message", data: JSON.parse(fields.data) };
}
