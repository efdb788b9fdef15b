// The page at `/` of a server of many models: which there are, each with a page of its own.

import { byId, make, say } from "./elements.js";
import { showLanguage } from "./languages.js";
import { models, useToken } from "./service.js";
import { currentLanguage, words } from "./words.js";

const LOOK = 3000; // milliseconds between two looks

let told = null; // what /models said last
let problem = null;
let nextLook = 0;

async function look() {
  clearTimeout(nextLook);
  if (document.hidden && told) return;
  try {
    told = await models();
    problem = null;
  } catch (error) {
    problem = error;
  }
  render();
  if (problem?.kind !== "token") nextLook = setTimeout(look, LOOK);
}

function render() {
  const needsToken = problem?.kind === "token";
  byId("token-form").hidden = !needsToken;
  byId("list").hidden = needsToken || !told?.models.length;
  const notice = needsToken ? words("needsToken") : problem ? words("unreachable") : told?.message;
  byId("notice").hidden = !notice;
  say(byId("notice"), notice ?? "");
  const rows = byId("models");
  const news = JSON.stringify([told?.models, currentLanguage()]);
  // What is the same is not drawn anew: a link may have the focus.
  if (rows.dataset.news === news) return;
  rows.dataset.news = news;
  rows.replaceChildren(...(told?.models ?? []).map(row));
}

function row({ name, version, state, message, path }) {
  // Relative, as all addresses here.
  const link = make("a", { href: path.replace(/^\//, "") }, name);
  // The fast lane of a version may answer while its process is still starting.
  const shown = version && state === "starting" ? "serving" : state;
  const told = words("state")[shown] ?? String(shown);
  const word = make("span", { class: `state ${shown}`, title: message ?? "" }, told);
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, link),
    make("td", {}, version ?? "–"),
    make("td", {}, word),
  );
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(byId("token").value.trim());
  byId("token").value = "";
  look();
});

document.addEventListener("visibilitychange", look);

showLanguage("models", render);
look();
