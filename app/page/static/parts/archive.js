// Results of several jobs in one file.

import { download } from "./downloads.js";

/** @param {any[]} jobs */
export function archive(jobs) {
  if (jobs.length) download(`v1/jobs/archive?${new URLSearchParams(jobs.map(({ id }) => ["id", id]))}`, "reucid-results.zip");
}
