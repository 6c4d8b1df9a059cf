// A small picture that the server drew; fetched with the key, when it comes into sight.

import { askPicture } from "./api.js";
import { h } from "./dom.js";

/** @type {WeakMap<Element, () => void>} */
const loads = new WeakMap();
const sight = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    sight.unobserve(target);
    loads.get(target)?.();
  }
}, { rootMargin: "200px" });

/** @param {string} path @param {AbortSignal} signal @param {string} [label] */
export function thumbnail(path, signal, label = "") {
  const canvas = h("canvas", { class: "thumb", role: label ? "img" : null, "aria-label": label || null, "aria-hidden": label ? null : "true" });
  loads.set(canvas, async () => {
    try {
      const picture = await askPicture(path, { signal });
      Object.assign(canvas, { width: picture.width, height: picture.height });
      canvas.getContext("2d").drawImage(picture, 0, 0);
    } catch {
      canvas.classList.add("missing"); // the file has expired: the place stays empty
    }
  });
  sight.observe(canvas);
  return canvas;
}
