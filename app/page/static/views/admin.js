// Filled below.
import { fill, h } from "../parts/dom.js";
/** @type {import("../main.js").View} */
export async function view(place) { fill(place, h("p", {}, "…")); }
