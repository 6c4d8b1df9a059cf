// From upload to result, error and events with openapi-typescript's types and openapi-fetch.
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { strict as assert } from "node:assert";
import createClient from "openapi-fetch";
import type { components, paths } from "./generated.js";

type Problem = components["schemas"]["ProblemBody"];

const [url, key, file] = process.argv.slice(2) as [string, string, string];
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });

const form = new FormData();
form.append("file", new Blob([new Uint8Array(await readFile(file))]), basename(file));
const uploaded = await client.POST("/v1/images", {
  body: { file: [] },
  bodySerializer: () => form,
});
assert(uploaded.data, uploaded.error?.detail);

const submitted = await client.POST("/v1/jobs", {
  body: { image_id: uploaded.data.id, params: { patch_size: 5 } },
});
assert(submitted.data, submitted.error?.detail);
const params = { path: { job_id: submitted.data.id } };
const ended = await client.GET("/v1/jobs/{job_id}", {
  params: { ...params, query: { wait: 30 } },
});
assert.equal(ended.data?.state, "succeeded");

const result = await client.GET("/v1/jobs/{job_id}/result", {
  params: { ...params, query: { format: "npy" } },
  parseAs: "arrayBuffer",
});
assert(result.data);
assert.equal(Buffer.from(result.data).subarray(1, 6).toString(), "NUMPY");

const events = await client.GET("/v1/jobs/{job_id}/events", { params, parseAs: "text" });
assert(String(events.data).includes("event: succeeded"));

const missing = await client.GET("/v1/jobs/{job_id}", {
  params: { path: { job_id: "0".repeat(32) } },
});
const problem: Problem | undefined = missing.error;
assert.equal(problem?.code, "not_found");
