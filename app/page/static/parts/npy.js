// Numbers as NumPy saves them.

import { ask } from "./api.js";

const KINDS = { "<f4": Float32Array, "<f8": Float64Array, "|u1": Uint8Array, "|b1": Uint8Array, "<u2": Uint16Array, "<i2": Int16Array, "<u4": Uint32Array, "<i4": Int32Array };
const ALIGNED = 64; // bytes that a header is a multiple of

/** @param {Float32Array} pixels @param {number[]} shape */
export function npy(pixels, shape) {
  const said = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(", ")}), }`;
  const padded = said.padEnd(Math.ceil((said.length + 11) / ALIGNED) * ALIGNED - 11) + "\n";
  const head = new Uint8Array(10 + padded.length);
  head.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, padded.length & 255, padded.length >> 8]);
  head.set(new TextEncoder().encode(padded), 10);
  return new Blob([head, /** @type {ArrayBuffer} */ (pixels.buffer)], { type: "application/x-npy" });
}

/** The numbers of a file that the server writes, in row order. @param {string} path @returns {Promise<ArrayLike<number>>} */
export async function askNumbers(path) {
  const file = await (await ask(path)).arrayBuffer();
  const length = new DataView(file).getUint16(8, true);
  const said = new TextDecoder().decode(new Uint8Array(file, 10, length));
  const Kind = KINDS[/** @type {keyof typeof KINDS} */ (/'descr': '([^']+)'/.exec(said)?.[1])];
  if (!Kind || said.includes("True")) throw new Error(`got numbers of ${said}, which this page does not read`);
  return new Kind(file.slice(10 + length));
}
