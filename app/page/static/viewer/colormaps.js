// Colour maps, as control points between which colours are interpolated (matplotlib's, CC0).

/** @type {Record<string, string>} */
const POINTS = {
  "gray": "000000ffffff",
  "viridis": "440154470d6048186a482374472d7b4537814240863e49893b528b375b8d33638d2f6b8e2c728e297a8e26828e23898e21918c1f988b1fa08822a78528ae8032b67a3fbc734ec36b5ec96270cf5784d44b98d83eaddc30c2df23d8e219ece51bfde725",
  "inferno": "0000040403120b0724150b37210c4a2f0a5b3d09654a0c6b57106e64156e71196e7d1e6d8a226a972766a32c61b0315bbc3754c73e4cd24644db503be45a31eb6628f1731df68013f98e09fb9d07fcac11fbbc21f9cb35f5db4cf2ea69f3f68afcffa4",
  "magma": "0000040303120a0822130d341d114729115a36106b440f7651127c5d177f6a1c81762181832681902a819c2e7faa337db73779c43c75d0416fdc4869e75263ef5d5ef56b5cf9795dfc8961fd9869fea772feb67cfec488fed395fde2a3fcf0b2fcfdbf",
  "cividis": "00224e00285b002e6a0533711a386f273e6e32436d3b496c434e6c4b546c535a6d5a5f6e61656f686a716f70737676767d7c788482798c8878938e789b9476a39a74aba072b4a76fbcae6cc4b468cdbb63d5c25edec958e7d150f0d846f9e03afee838",
  "blue-red": "0530610e41791752901f63a82a71b23480b93f8ec0529dc86bacd184bcd99bc9e0aed3e6c2ddecd4e6f1e0ecf3ecf2f5f7f6f6f9eee7fbe5d8fddcc9fbccb4f8bb9ef5aa89ee9677e48066db6b55d05548c53e3dba2832ab162a930e267c072267001f",
};

export const MAPS = Object.keys(POINTS).filter((name) => name !== "blue-red");
export const DIVERGING = [...Object.keys(POINTS)];

/** @type {Record<string, Uint8ClampedArray>} */
const made = {};

/** 256 colours, RGBA. @param {string} name */
export function colours(name) {
  return (made[name] ??= table(POINTS[name] ?? POINTS.gray));
}

/** @param {string} hex */
function table(hex) {
  const points = (hex.match(/../g) ?? []).map((pair) => parseInt(pair, 16));
  const spans = points.length / 3 - 1;
  const colour = new Uint8ClampedArray(1024);
  for (let step = 0; step < 256; step++) {
    const at = (step / 255) * spans;
    const left = Math.min(Math.floor(at), spans - 1);
    for (let channel = 0; channel < 3; channel++) {
      const low = points[3 * left + channel];
      colour[4 * step + channel] = low + (at - left) * (points[3 * left + 3 + channel] - low);
    }
    colour[4 * step + 3] = 255;
  }
  return colour;
}

/** Draw values into a 2D canvas of their size. @param {HTMLCanvasElement} canvas @param {ArrayLike<number>} values @param {number[]} shape @param {number} low @param {number} high @param {string} map */
export function paint(canvas, values, [rows, columns], low, high, map) {
  if (canvas.width !== columns || canvas.height !== rows) Object.assign(canvas, { width: columns, height: rows });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(columns, rows);
  const table32 = new Uint32Array(colours(map).buffer);
  const pixels = new Uint32Array(image.data.buffer);
  const scale = 255 / (high - low || 1);
  for (let i = 0; i < pixels.length; i++) pixels[i] = table32[Math.max(0, Math.min(255, Math.round((values[i] - low) * scale)))];
  context.putImageData(image, 0, 0);
}
