// How to judge a denoised image, with good and bad examples.

import { fill, h } from "../parts/dom.js";
import { KEYS } from "../viewer/toolbar.js";

const EXAMPLES = [
  ["good", "Sound", "The columns are sharper and nothing was added. The residual is grain: a little stronger where the columns are bright, since bright spots have more counts and so more noise, but without their shape."],
  ["too-much", "Too much was removed", "Dumbbells have become smears, and the residual shows the columns themselves. What you see in the residual is missing from the result. Keep more eigenpatches, or lower the threshold."],
  ["too-little", "Too little was removed", "The result is nearly as grainy as the raw image, and the residual is almost empty. Nothing is lost, but little is gained. Keep fewer eigenpatches."],
  ["streaks-kept", "Row streaks, kept", "Every row of the scan has an offset of its own. As data they stay in the result; then they are not in the residual."],
  ["streaks-removed", "Row streaks, removed", "The same image with the method “raw scan”: the streaks are in the residual, which is where an artefact belongs. If your specimen itself is made of rows, compare both: one click beside the result."],
];

/** @type {import("../main.js").View} */
export async function view(place) {
  fill(place, h("article", { class: "prose" },
    h("h1", {}, "How to judge a denoised image"),
    h("p", {}, "A denoised image is an estimate. It cannot show what the dose did not record, and it should not show anything that is not there. Three looks tell you most of what you need to know."),
    h("h2", {}, "1. Look at the residual first"),
    h("p", {}, "The residual is raw minus denoised: all that was taken away. It should look like grain and nothing else. If you can recognise your specimen in it (columns, edges, a particle), that part is missing from the result. By default it is shown with as much contrast as the image, so its strength can be compared; untick “residual in the same contrast” to look for faint structure."),
    h("h2", {}, "2. Look at the spectra"),
    h("p", {}, "Press T. The circles mark the lattice. In the denoised spectrum the spots should be as strong as in the raw one; in the residual they should be gone. A spot in the residual means that a part of the lattice was removed; streaks through the centre are the scan's own noise."),
    h("h2", {}, "3. Look at what you care about"),
    h("p", {}, "Defects, dopants and edges repeat least, so they are what any such method is most likely to weaken. Wipe (W) over them between raw and denoised, and draw a profile (L) through them. If something differs by more than the noise around it explains, do not measure it in the result."),
    h("h2", {}, "Examples"), h("p", {}, "Each row: raw, denoised, residual, in the same contrast. The micrograph is the simulated one of the demo."),
    EXAMPLES.map(([name, title, text]) => h("figure", {}, h("img", { src: `static/help/${name}.png`, alt: `Raw, denoised and residual side by side: ${title.toLowerCase()}`, width: 492, height: 160 }), h("figcaption", {}, h("strong", {}, `${title}. `), text))),
    h("h2", {}, "What the software does, and what it does not"),
    h("p", {}, "The image is cut into overlapping patches. A singular value decomposition finds the patterns they share, the eigenpatches. Some hold specimen, most hold only noise; a small network, or the measured noise floor, says which. The image is rebuilt from those that are kept. No learned weight ever touches a pixel: the result is a linear filter of your data, and the report holds everything that is needed to repeat it."),
    h("p", {}, "You have the last word: below every result are the eigenpatches. A click turns a verdict and shows what the image would be. If you keep that, a new job is made whose report says which verdicts are yours."),
    h("h2", {}, "What the verdict's words mean"),
    h("table", {}, h("tbody", {}, [
      ["Looks sound", "Most of the noise is gone and nothing that repeats is left in the residual."],
      ["Look closer", "Something is worth a look: little was removed, or the residual is not quite what pure noise would be. On raw scans with method “as published” that is usual: their noise runs along the rows."],
      ["Do not trust this yet", "Structure stands out of the residual, or nothing useful was found. Try other choices before you use the result."],
    ].map(([name, text]) => h("tr", {}, h("th", { scope: "row", class: "nowrap" }, name), h("td", {}, text))))),
    h("h2", {}, "Keys"), h("table", {}, h("tbody", {}, KEYS.map(([keys, text]) => h("tr", {}, h("td", { class: "nowrap" }, keys.split("  ").map((each) => [h("kbd", {}, each), " "])), h("td", {}, text)))))));
}
