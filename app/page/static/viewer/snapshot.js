// The views as they are drawn, with scale bars and what lies over them, as one picture for a slide or a notebook.

import { h } from "../parts/dom.js";

const GAP = 8; // CSS px between views
const CAPTION = 26; // CSS px
const FONT = 15;

/** @param {import("./pane.js").Pane[]} panes @param {number} density device px per CSS px @returns {HTMLCanvasElement} */
export function together(panes, density) {
  const canvases = panes.map(({ canvas }) => canvas);
  const width = canvases.reduce((sum, each) => sum + each.width, 0) + GAP * density * (panes.length - 1);
  const height = Math.max(...canvases.map((each) => each.height)) + CAPTION * density;
  const all = h("canvas", { width: Math.round(width), height: Math.round(height) });
  const context = all.getContext("2d");
  Object.assign(context, { fillStyle: "#ffffff" });
  context.fillRect(0, 0, all.width, all.height);
  Object.assign(context, { fillStyle: "#000000", font: `${FONT * density}px system-ui, sans-serif`, textBaseline: "middle" });
  let left = 0;
  for (const { canvas, tag } of panes) {
    context.fillText(tag.textContent ?? "", left, (CAPTION * density) / 2, canvas.width);
    context.fillRect(left, CAPTION * density, canvas.width, canvas.height); // what is beside an image is black, as on the screen
    context.drawImage(canvas, left, CAPTION * density);
    left += canvas.width + GAP * density;
  }
  return all;
}

/** Save the views as a PNG. @param {import("./pane.js").Pane[]} panes @param {string} name of the file */
export async function save(panes, name) {
  const picture = together(panes, panes[0].density);
  const content = await new Promise((resolve) => picture.toBlob(resolve, "image/png"));
  const href = URL.createObjectURL(content);
  h("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60000);
}
