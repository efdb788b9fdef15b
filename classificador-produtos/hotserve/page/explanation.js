// Which words decided: each with its weight, coloured by it.

import { byId, make } from "./elements.js";
import { currentLanguage, number, signed, words } from "./words.js";

const MOST_TERMS = 30;

/**
 * Shows which words decided about one product; nothing where there was nothing to decide.
 * @param {import("./service.js").Told[]|null} told of the version that answers, then of the one that
 *   is shown beside
 * @param {(string|undefined)[]} stages of the same
 */
export function showWhy(told, stages) {
  const element = byId("why");
  const decided = (told ?? []).filter(({ explanation }) => explanation.runner_up !== null);
  element.hidden = !decided.length;
  const key = JSON.stringify([told, stages, currentLanguage()]);
  if (element.hidden || element.key === key) return;
  element.key = key;
  const blocks = decided.map((one) => block(one, told.length > 1 ? stages[told.indexOf(one)] : null));
  const hint = make("p", { class: "hint" }, words("whyExact"));
  element.replaceChildren(make("div", { class: "beside" }, ...blocks), hint);
}

/** @param {string|null|undefined} stage null where there is one version only */
function block({ version, explanation }, stage) {
  const { category, runner_up: other, terms } = explanation;
  const title = [stage, words("version", version)].filter(Boolean).join(" · ");
  return make(
    "section",
    stage === null ? {} : { "aria-label": title },
    stage === null ? null : make("p", { class: "eyebrow" }, title),
    stage === null ? null : make("p", { class: "category" }, category),
    make("h2", { class: "small" }, words("why", category, other)),
    terms.length ? chips(explanation) : make("p", {}, words("noTerms")),
    make("p", { class: "hint" }, words("whyColours", category, other)),
  );
}

/** The words in the order of the text; of many those that weigh most. */
function chips({ terms, start, margin }) {
  let shown = terms;
  if (terms.length > MOST_TERMS) {
    const byWeight = [...terms].sort((one, another) => size(another) - size(one));
    const kept = new Set(byWeight.slice(0, MOST_TERMS));
    shown = terms.filter((term) => kept.has(term));
  }
  const largest = Math.max(...terms.map(size), Math.abs(start), Number.MIN_VALUE);
  const items = shown.map((term) => chip(term, largest));
  const left = terms.length - shown.length;
  if (left) items.push(make("li", { class: "rest" }, words("moreTerms", number(left))));
  items.push(
    make("li", { class: "rest" }, words("start"), make("small", {}, signed(start))),
    make("li", { class: "rest" }, words("sum"), make("small", {}, signed(margin))),
  );
  return make("ul", { class: "terms" }, ...items);
}

const size = ({ weight }) => Math.abs(weight ?? 0);

function chip({ term, count, weight }, largest) {
  const name = count > 1 ? `${term} ×${number(count)}` : term;
  if (weight === null) {
    return make("li", { class: "unknown" }, name, make("small", {}, words("unknownTerm")));
  }
  const item = make("li", {}, name, make("small", {}, signed(weight)));
  if (weight) item.classList.add(weight > 0 ? "for" : "against");
  item.style.setProperty("--strength", `${Math.round((40 * Math.abs(weight)) / largest)}%`);
  return item;
}
