// uPlot, loaded when the first plot is wanted, in the page's colours.

/** @type {Promise<any> | null} */
let loading = null;

/** @returns {Promise<any>} uPlot */
export function plotting() {
  loading ??= new Promise((resolve, reject) => {
    const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: "static/vendor/uPlot.min.css" });
    const script = Object.assign(document.createElement("script"), { src: "static/vendor/uPlot.iife.min.js", onload: () => resolve(/** @type {any} */ (window).uPlot), onerror: () => reject(new Error("uPlot did not load")) });
    document.head.append(style, script);
  });
  return loading;
}

/** A colour of the page. @param {string} name */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** An axis in the page's colours. @param {any} [more] */
export const axis = (more = {}) => ({ stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", ...more });
