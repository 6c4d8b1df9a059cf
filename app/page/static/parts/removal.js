// Deleting, with a way back until it is final.

import { ask } from "./api.js";
import { notice } from "./notices.js";
import { explain } from "./words.js";

const GRACE = 8000; // ms

/** @type {Set<string>} jobs that are about to be deleted */
export const leaving = new Set();

/** Delete jobs when nobody has taken it back for a while. @param {{ id: string, name: string }[]} jobs */
export function removeLater(jobs) {
  for (const { id } of jobs) leaving.add(id);
  const changed = () => dispatchEvent(new Event("reucid-removal"));
  const remove = async () => {
    removeEventListener("pagehide", remove);
    await Promise.all(jobs.map(({ id, name }) => ask(`v1/jobs/${id}`, { method: "DELETE", keepalive: true }).catch((error) => {
      if (error.status !== 404 && error.status !== 410) notice(`“${name}” was not deleted: ${explain(error).detail}`, { bad: true });
    })));
    for (const { id } of jobs) leaving.delete(id);
    changed();
  };
  addEventListener("pagehide", remove);
  const text = jobs.length === 1 ? `“${jobs[0].name}” is deleted.` : `${jobs.length} jobs are deleted.`;
  notice(text, { stays: GRACE, ended: remove, action: ["Undo", () => { removeEventListener("pagehide", remove); for (const { id } of jobs) leaving.delete(id); changed(); }] });
  changed();
}
