// What is shown over the images: pixels that the report names, each kind with a colour and a switch.

const INNER = 46; // opacity of a map, of 255: what is marked is to be seen
const OUTER = 235; // of its outline
const SIDE = 2048; // px, of a drawn map at most
const RINGS = 2000; // places in view of which each has a ring; more are a map

/** @typedef {{ rows: number[], columns: number[] }} Places in order of the rows */
/** @typedef {{ name: string, title: string, colour: number[], kinds: string[], mask: HTMLCanvasElement, places?: Places, on: boolean }} Overlay kinds: of the panes that it belongs to; places: of single pixels */

export const KINDS = {
  departures: { title: "Departures", colour: [255, 209, 102], kinds: ["denoised"] },
  uncovered: { title: "Not denoised", colour: [255, 209, 102], kinds: ["denoised"] },
  hot: { title: "Hot pixels", colour: [255, 96, 96], kinds: ["raw", "denoised", "residual"] },
  drawn: { title: "Drawn or lost", colour: [122, 200, 255], kinds: ["raw", "denoised", "residual"] },
};

/** Pixels that runs name: in row order so many that are not and are marked, in turn. @param {keyof typeof KINDS} name @param {number[]} runs @param {number[]} shape @returns {Overlay} */
export function ofRuns(name, runs, shape) {
  return { name, ...KINDS[name], mask: masked(shape, KINDS[name].colour, (mark) => {
    let at = 0;
    runs.forEach((length, index) => {
      if (index % 2) for (let pixel = at; pixel < at + length; pixel++) mark(Math.floor(pixel / shape[1]), pixel % shape[1]);
      at += length;
    });
  }), on: true };
}

/** Single pixels. @param {keyof typeof KINDS} name @param {Places} places @param {number[]} shape @returns {Overlay} */
export function ofPlaces(name, places, shape) {
  return { name, ...KINDS[name], places, mask: masked(shape, KINDS[name].colour, (mark) => places.rows.forEach((row, at) => mark(row, places.columns[at]))), on: true };
}

/** A map with an outline, to be drawn over the image. @param {number[]} shape @param {number[]} colour red, green, blue @param {(mark: (row: number, column: number) => void) => void} fill */
function masked([rows, columns], colour, fill) {
  const step = Math.max(1, Math.ceil(Math.max(rows, columns) / SIDE));
  const [down, across] = [Math.ceil(rows / step), Math.ceil(columns / step)];
  const marked = new Uint8Array(across * down);
  fill((row, column) => { marked[Math.floor(row / step) * across + Math.floor(column / step)] = 1; });
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: across, height: down });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(across, down);
  marked.forEach((is, place) => {
    if (!is) return;
    const column = place % across;
    const inside = column > 0 && column < across - 1 && marked[place - 1] && marked[place + 1] && marked[place - across] && marked[place + across];
    image.data.set([...colour, inside ? INNER : OUTER], 4 * place);
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

/**
 * @param {CanvasRenderingContext2D} context @param {Overlay} overlay @param {import("./view.js").View} view
 * @param {(column: number) => number} x CSS px @param {(row: number) => number} y @param {number} zoom
 */
export function drawOverlay(context, overlay, view, x, y, zoom) {
  const rings = overlay.places && within(overlay.places, view.window());
  if (!rings || rings.length > RINGS) {
    context.imageSmoothingEnabled = false;
    const step = Math.max(1, Math.ceil(Math.max(...view.shape) / SIDE));
    return void context.drawImage(overlay.mask, x(0), y(0), overlay.mask.width * step * zoom, overlay.mask.height * step * zoom);
  }
  const radius = Math.max(5, 0.75 * zoom + 2);
  for (const [width, stroke] of /** @type {[number, string][]} */ ([[3.5, "rgb(0 0 0 / 70%)"], [1.5, `rgb(${overlay.colour.join(" ")})`]])) {
    context.beginPath();
    for (const [row, column] of rings) {
      const [across, down] = [x(column + 0.5), y(row + 0.5)];
      context.moveTo(across + radius, down);
      context.arc(across, down, radius, 0, 7);
    }
    Object.assign(context, { lineWidth: width, strokeStyle: stroke });
    context.stroke();
  }
}

/** Places in a window, one more than get rings at most. @param {Places} places @param {number[]} window first row and column, and the ones after the last */
function within({ rows, columns }, [top, left, bottom, right]) {
  /** @type {[number, number][]} */
  const found = [];
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle] < top) low = middle + 1;
    else high = middle;
  }
  for (let at = low; at < rows.length && rows[at] < bottom && found.length <= RINGS; at++) if (columns[at] >= left && columns[at] < right) found.push([rows[at], columns[at]]);
  return found;
}
