// Results of several jobs in one file.

import { download } from "./downloads.js";

/** @param {any[]} jobs */
export function archive(jobs) {
  if (jobs.length) download("v1/jobs/archive", "reucid-results.zip", { json: { job_ids: jobs.map(({ id }) => id) } });
}
