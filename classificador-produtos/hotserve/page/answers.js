// The answers on the page: bars for one product, a table for several.

import { byId, make, say } from "./elements.js";
import { showEvaluation } from "./evaluation.js";
import { currentLanguage, number, percent, words } from "./words.js";

const MOST_BARS = 8;
const MOST_ROWS = 2000;
const LONG = 60; // characters that fit into two lines on a phone

/**
 * Shows one product's category and probabilities.
 * @param {import("./service.js").Answer} answer
 * @param {string|null} version that gave it
 * @param {number} milliseconds that it took
 */
export function showOne(answer, version, milliseconds) {
  say(byId("category"), answer.category);
  drawBars(answer);
  const time = words("answered", version, number(milliseconds));
  say(byId("answered"), answer.probabilities ? time : `${words("noProbabilities")} ${time}`);
}

/** Few categories keep their places, so that the bars grow and shrink where they are. */
function drawBars({ category, probabilities }) {
  let shown = [...(probabilities ?? [])];
  let rest = [];
  if (shown.length > MOST_BARS) {
    shown.sort((one, other) => other[1] - one[1]);
    rest = shown.splice(MOST_BARS);
  }
  if (rest.length) shown.push([null, rest.reduce((sum, [, value]) => sum + value, 0)]);
  const list = byId("bars");
  list.hidden = !shown.length;
  while (list.children.length > shown.length) list.lastElementChild.remove();
  shown.forEach(([name, value], index) => {
    const row = list.children[index] ?? list.appendChild(newBar());
    const [label, track, figure] = row.children;
    say(label, name ?? words("others", rest.length));
    say(figure, percent(value));
    track.firstElementChild.style.transform = `scaleX(${value})`;
    row.classList.toggle("best", name === category);
  });
}

function newBar() {
  return make(
    "li",
    {},
    make("span", { class: "name" }),
    make("span", { class: "track", "aria-hidden": "true" }, make("span", { class: "fill" })),
    make("span", { class: "figure" }),
  );
}

/**
 * Shows several products, as far as they are answered.
 * @param {import("./products.js").Products} products
 * @param {import("./service.js").Answer[]} answers of the first products
 * @param {string|null} version that gave them
 */
export function showMany(products, answers, version) {
  const state = JSON.stringify([answers.length, version, currentLanguage()]);
  const many = byId("many");
  if (many.answers === answers && many.state === state) return;
  Object.assign(many, { answers, state });
  const all = products.texts.length;
  const done = answers.length;
  const key = done < all ? "classifying" : "classified";
  say(byId("count"), key === "classified" ? words(key, number(all)) : words(key, number(done), number(all)));
  byId("download").disabled = done < all;
  const progress = byId("progress");
  progress.hidden = done === all;
  progress.max = all;
  progress.value = done;
  say(byId("read"), howRead(products, version));
  many.classList.toggle("plain", answers.every((answer) => !answer.probabilities));
  showTotals(answers);
  showEvaluation(products.labels, answers);
  showRows(products, answers);
  const more = byId("more");
  more.hidden = done <= MOST_ROWS;
  if (!more.hidden) say(more, words("firstRows", number(MOST_ROWS), number(all)));
}

function howRead(products, version) {
  const parts = [];
  if (products.columns) parts.push(words("readTable", products.used.join(", ")));
  if (version !== null) parts.push(words("mixed", version));
  return parts.join(" ");
}

function showTotals(answers) {
  const totals = new Map();
  for (const { category } of answers) totals.set(category, (totals.get(category) ?? 0) + 1);
  const ordered = [...totals].sort((one, other) => other[1] - one[1]).slice(0, MOST_BARS);
  byId("totals").replaceChildren(
    ...ordered.map(([name, count]) => make("li", {}, make("b", {}, number(count)), ` ${name}`)),
  );
}

function showRows(products, answers) {
  const body = byId("rows");
  // Rows that stand already are of the same products: only new ones are added.
  if (body.answers !== answers || body.language !== currentLanguage()) {
    body.replaceChildren();
    Object.assign(body, { answers, language: currentLanguage() });
  }
  const rows = [];
  for (let at = body.children.length; at < Math.min(answers.length, MOST_ROWS); at += 1) {
    rows.push(newRow(at, products.texts[at], answers[at], products.labels?.[at]));
  }
  body.append(...rows);
}

function newRow(at, text, { category, probabilities }, label) {
  const value = probabilities?.get(category) ?? null;
  const fill = make("span", { class: "fill" });
  if (value !== null) fill.style.transform = `scaleX(${value})`;
  return make(
    "tr",
    {},
    make("td", { class: "number" }, number(at + 1)),
    make("td", { class: "text" }, shortened(text)),
    make(
      "td",
      { class: "category" },
      category,
      label && label !== category
        ? make("small", { class: "miss" }, words("labelled", label))
        : null,
    ),
    value === null
      ? make("td", { class: "probability" })
      : make(
          "td",
          { class: "probability" },
          make("span", { class: "figure" }, percent(value)),
          make("span", { class: "track", "aria-hidden": "true" }, fill),
        ),
  );
}

/** A long text shows its first lines, and all of them to who taps on it. */
function shortened(text) {
  if (text.length <= LONG) return text;
  return make("details", {}, make("summary", {}, make("span", {}, text)));
}

/** Hands the browser a file to keep. */
export function download(name, content) {
  const address = URL.createObjectURL(new Blob([content], { type: "text/csv;charset=utf-8" }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}
