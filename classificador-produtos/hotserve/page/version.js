// The card that says which version answers, how good it is, and what was switched when.

import { byId, make } from "./elements.js";
import { ago, currentLanguage, moment, number, percent, words } from "./words.js";

const MOST_SWITCHES = 5;
const MOST_FIGURES = 4;

/**
 * Shows what `/model` said.
 * @param {object} model its answer
 * @param {boolean} reachable whether the server answered when it was last asked
 */
export function showVersion(model, reachable) {
  const serves = Boolean(model.since);
  // The fast lane of a version may answer while its process is still starting.
  const said = serves && model.state === "starting" ? "serving" : model.state;
  const state = reachable ? said : "unreachable";
  // Nothing new is not drawn anew: it may be being read, or copied.
  const card = byId("version");
  const news = JSON.stringify([model, state, currentLanguage(), serves && ago(model.since)]);
  if (card.news === news) return;
  card.news = news;
  card.replaceChildren(
    ...[
      make("p", { class: `state ${state}` }, words("state")[state] ?? String(state)),
      make("h2", { id: "served" }, heading(model, serves)),
      serves ? labels(model) : null,
      serves ? figures(model) : null,
      ...remarks(model, serves),
      ...switches(model.switches ?? []),
    ].filter((part) => part !== null),
  );
}

function heading(model, serves) {
  if (!serves) return words("noVersionYet");
  return model.version ? words("version", model.version) : String(model.name);
}

/** The stage and the aliases of the version that answers. */
export const labelsOf = ({ stage, aliases }) =>
  [stage, ...(aliases ?? []).map((alias) => `@${alias}`)].filter(
    (label) => label && label !== "None",
  );

function labels(model) {
  const all = labelsOf(model);
  if (!all.length) return null;
  return make("ul", { class: "labels" }, ...all.map((label) => make("li", {}, label)));
}

function figures(model) {
  const rows = metricRows(model.metrics ?? {});
  rows.push([
    words("since"),
    make("time", { datetime: model.since, title: moment(model.since) }, ago(model.since)),
    null,
  ]);
  const lane = words("lanes")[model.lane?.state];
  if (lane) rows.push([words("lane"), lane, null]);
  const list = make("dl");
  for (const [name, value, hint] of rows) {
    const told = make("dd", {}, value, hint ? make("small", {}, hint) : null);
    list.append(make("dt", {}, name), told);
  }
  return list;
}

/** Accuracy and F1 on the common hold-out; other models' figures by their own names. */
function metricRows(metrics) {
  const known = [
    ["acuracia_holdout", words("accuracy"), words("holdoutHint")],
    ["f1_macro_holdout", words("f1"), null],
  ].filter(([key]) => Number.isFinite(metrics[key]));
  if (known.length) return known.map(([key, name, hint]) => [name, percent(metrics[key]), hint]);
  return Object.entries(metrics)
    .filter(([, value]) => Number.isFinite(value))
    .slice(0, MOST_FIGURES)
    .map(([name, value]) => [name, number(value, 4), null]);
}

function remarks({ wanted, last_error: error, registry, note, switches: all }, serves) {
  const said = [];
  const took = all?.at(-1)?.seconds;
  if (wanted?.state === "starting" && wanted.version) said.push([coming(wanted, took)]);
  if (wanted?.state === "failed" && serves) {
    said.push([words("failed", wanted.version ?? ""), error?.message]);
  }
  if (registry?.reachable === false && serves) said.push([words("registryAway"), registry.error]);
  if (note) said.push(["", note]);
  // The server's own lines are in English.
  return said.map(([text, line]) =>
    make("p", { class: "remark" }, text, ...(line ? [" ", make("span", { lang: "en" }, line)] : [])),
  );
}

/** Which version is on its way, at which step, for how long; and how long the last one took. */
function coming({ version, step, seconds }, took) {
  const parts = [words("coming", version)];
  if (words("steps")[step]) parts.push(words("steps")[step]);
  if (Number.isFinite(seconds)) parts.push(words("forSeconds", number(seconds)));
  const before = Number.isFinite(took) ? ` ${words("lastTook", number(took, 1))}` : "";
  return `${parts.join(", ")}.${before}`;
}

function switches(all) {
  if (!all.length) return [];
  const latest = all.slice(-MOST_SWITCHES).reverse();
  const items = latest.map(({ at, from, to, seconds }) => {
    const what = from ? words("switched", from, to ?? "") : words("first", to ?? "");
    const took = Number.isFinite(seconds) ? ` ${words("took", number(seconds, 1))}` : "";
    return make("li", {}, make("time", { datetime: at }, moment(at)), make("span", {}, what + took));
  });
  return [make("h3", {}, words("switches")), make("ol", { class: "switches" }, ...items)];
}
