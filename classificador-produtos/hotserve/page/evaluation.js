// A table that has categories itself: how many answers are the same, and which are taken for which.

import { byId, make } from "./elements.js";
import { currentLanguage, number, percent, words } from "./words.js";

const MOST_CATEGORIES = 12;

/**
 * Shows hits, misses and the confusion matrix, as far as the rows are answered.
 * @param {string[]|null} labels the table's categories; empty ones don't count
 * @param {import("./service.js").Answer[]} answers of the first rows
 */
export function showEvaluation(labels, answers) {
  const element = byId("evaluation");
  const counted = labels ? answers.filter((_, at) => labels[at]).length : 0;
  element.hidden = !counted;
  if (element.hidden) return;
  const counts = new Map();
  let hits = 0;
  answers.forEach(({ category }, at) => {
    const label = labels[at];
    if (!label) return;
    if (label === category) hits += 1;
    if (!counts.has(label)) counts.set(label, new Map());
    const row = counts.get(label);
    row.set(category, (row.get(category) ?? 0) + 1);
  });
  const share = percent(hits / counted);
  element.replaceChildren(
    ...[
      make(
        "p",
        {},
        make("b", {}, words("score", number(hits), number(counted), share)),
        ` · ${words("misses", counted - hits)}`,
      ),
      matrix(counts),
      make("p", { class: "hint" }, words("scoreHint")),
    ].filter((part) => part !== null),
  );
}

/** The table's categories in rows, the model's in columns; null where they are too many. */
function matrix(counts) {
  const found = [...counts.values()].flatMap((row) => [...row.keys()]);
  const categories = [...new Set([...counts.keys(), ...found])];
  if (categories.length > MOST_CATEGORIES) return null;
  categories.sort((one, other) => one.localeCompare(other, currentLanguage()));
  const head = make(
    "tr",
    {},
    make("td"),
    ...categories.map((name) => make("th", { scope: "col" }, name)),
  );
  const rows = categories.map((label) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, label),
      ...categories.map((category) => {
        const count = counts.get(label)?.get(category) ?? 0;
        const kind = label === category ? "hit" : count ? "miss" : "none";
        return make("td", { class: kind }, number(count));
      }),
    ),
  );
  const name = words("matrix");
  return make(
    "div",
    { class: "matrix", tabindex: "0", role: "region", "aria-label": name },
    make(
      "table",
      {},
      make("caption", {}, name),
      make("thead", {}, head),
      make("tbody", {}, ...rows),
    ),
  );
}
