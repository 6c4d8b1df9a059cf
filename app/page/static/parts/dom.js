// Elements made in one expression. Children that are strings become text, never markup.

/** @typedef {Node | string | number | null | undefined | false | Child[]} Child */

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes] `on…` are listeners, `class` and `data-…` as in HTML; true and false set or leave out
 * @param {...any} children
 * @returns {any}
 */
export function h(tag, attributes = {}, ...children) {
  /** @type {any} */
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled" || name === "hidden") element[name] = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...flat(children));
  return element;
}

/** @param {Child[]} children @returns {(Node | string)[]} */
function flat(children) {
  return /** @type {any[]} */ (children).flat(/** @type {1} */ (Infinity)).filter((each) => each !== null && each !== undefined && each !== false).map((each) => (each instanceof Node ? each : String(each)));
}

/** Put these in place of what an element holds. @param {Element} element @param {...Child} children */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** @param {string} label @param {string} title @param {(event: Event) => void} onclick @param {Record<string, any>} [more] */
export function button(label, title, onclick, more = {}) {
  return h("button", { type: "button", title, onclick, ...more }, label);
}

/**
 * A choice of one, as buttons.
 * @param {string} label
 * @param {[string, string, string][]} options value, label, title
 * @param {string} chosen
 * @param {(value: string) => void} choose
 */
export function segmented(label, options, chosen, choose) {
  const group = h("div", { class: "group", role: "group", "aria-label": label }, h("span", {}, label));
  const buttons = options.map(([value, text, title]) => button(text, title, () => pick(value, true), { "data-value": value }));
  const pick = (/** @type {string} */ value, /** @type {boolean} */ tell) => {
    for (const each of buttons) each.setAttribute("aria-pressed", String(each.dataset.value === value));
    if (tell) choose(value);
  };
  pick(chosen, false);
  group.append(...buttons);
  return Object.assign(group, { pick: (/** @type {string} */ value) => pick(value, false) });
}

/**
 * @param {string} label @param {[string, string][]} options value, text
 * @param {string} chosen @param {string} title @param {(value: string) => void} choose
 */
export function select(label, options, chosen, title, choose) {
  const list = h("select", { title, "aria-label": label, onchange: () => choose(list.value) }, options.map(([value, text]) => h("option", { value }, text)));
  list.value = chosen;
  return list;
}

/** @param {string} label @param {any} control @param {string} [hint] */
export function field(label, control, hint) {
  return h("label", { class: "field" }, h("span", {}, label), control, hint && h("small", { class: "quiet" }, hint));
}

/** @param {[string, Child][]} pairs */
export function facts(pairs) {
  return h("dl", { class: "facts" }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/** A function that calls another once things have been quiet for so long. @param {(...given: any[]) => void} call @param {number} quiet ms */
export function settled(call, quiet) {
  let timer = 0;
  return (/** @type {any[]} */ ...given) => {
    clearTimeout(timer);
    timer = window.setTimeout(() => call(...given), quiet);
  };
}
