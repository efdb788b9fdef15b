// The page: asks as the user types, shows what comes back, and looks at /model while it is seen.

import { download, showMany, showOne } from "./answers.js";
import { curl } from "./curl.js";
import { byId, say } from "./elements.js";
import { showWhy } from "./explanation.js";
import { showLanguage } from "./languages.js";
import { showNotice } from "./notice.js";
import { Unreadable, read, readFile, resultsCsv } from "./products.js";
import { Problem, classify, explain, hasToken, model, useToken } from "./service.js";
import { labelsOf, showVersion } from "./version.js";
import { currentLanguage, decimalMark, words } from "./words.js";

const PAUSE = 120; // milliseconds without a key until the server is asked
const PART = 250; // products in one request
const LOOK = { serving: 3000, other: 1000 }; // milliseconds between two looks at /model

const state = {
  model: null, // what /model said last
  reachable: true,
  problem: null, // why the question has no answer
  shown: null, // { products, answers, version, milliseconds, why, signal }
  file: null, // { name, content }, instead of the text field
};

// --- asking

let pause = 0;
let asking = new AbortController();

/** Ask anew after `delay` milliseconds; whatever is under way no longer counts. */
function ask(delay = 0) {
  clearTimeout(pause);
  asking.abort();
  pause = setTimeout(() => answer((asking = new AbortController()).signal), delay);
}

async function answer(signal) {
  try {
    if (state.file?.content instanceof Error) throw state.file.content;
    const content = state.file ? state.file.content : byId("text").value;
    const products = read(content, state.model?.columns);
    if (products.texts.length) await answerAll(products, signal);
    else state.shown = null;
    state.problem = null;
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Problem || error instanceof Unreadable)) throw error;
    fail(error, signal);
    if (error.kind === "token") needToken();
  }
  render();
}

/** No answer: what was shown stays only if it is the first part of the same question's. */
function fail(problem, signal) {
  state.problem = problem;
  if (state.shown?.signal !== signal) state.shown = null;
}

/** In parts, all answered by one version: after a switch half-way it begins again. */
async function answerAll(products, signal) {
  let [answers, version] = [[], null];
  while (answers.length < products.texts.length) {
    const part = products.texts.slice(answers.length, answers.length + PART);
    const begun = performance.now();
    const [reply, told] = await patiently(
      () => Promise.all([classify(part, signal), isOne(products) ? why(part[0], signal) : null]),
      signal,
    );
    const milliseconds = Math.max(1, Math.round(performance.now() - begun));
    if (answers.length && reply.version !== version) {
      [answers, version] = [[], null];
      continue;
    }
    version = reply.version;
    answers.push(...reply.answers);
    state.problem = null;
    const explanations = told?.[0].version === version ? told : null;
    state.shown = { products, answers, version, milliseconds, why: explanations, signal };
    render();
  }
  if (state.model && version !== state.model.version) look();
}

/** One product that was typed, not a table with one row. */
const isOne = ({ texts, columns }) => texts.length === 1 && !columns;

/** Not asked where the server has said that it can't tell. */
const why = (text, signal) =>
  (state.model?.lane?.state ?? "open") === "open" ? explain(text, signal) : null;

/** What `send` answers, however long the server is away or has no model. */
async function patiently(send, signal) {
  for (;;) {
    try {
      const reply = await send();
      signal.throwIfAborted();
      return reply;
    } catch (error) {
      if (signal.aborted || !error.passes) throw error;
      fail(error, signal);
      render();
      await new Promise((resolve) => setTimeout(resolve, 1000 * error.retryAfter));
      signal.throwIfAborted();
    }
  }
}

// --- looking at /model

/** What an answer depends on. */
const answering = ({ version, lane, compared }) =>
  JSON.stringify([version, lane?.state, compared?.version, compared?.state]);

let nextLook = 0;
let isLooking = false;

/** A page that nobody sees does not look, but once: one opened behind another is ready. */
async function look({ isFirst = false } = {}) {
  clearTimeout(nextLook);
  if ((document.hidden && !isFirst) || isLooking || byId("token-dialog").open) return;
  isLooking = true;
  let isRefused = false;
  try {
    const before = state.model;
    state.model = await model();
    state.reachable = true;
    if (before && answering(before) !== answering(state.model)) ask();
  } catch (error) {
    isRefused = error.kind === "token";
    state.reachable = isRefused;
    if (isRefused) {
      state.problem = error;
      needToken();
    }
  }
  isLooking = false;
  render();
  if (isRefused) return;
  const calm = state.reachable && state.model?.state === "serving" && !state.model.wanted;
  nextLook = setTimeout(() => look(), calm ? LOOK.serving : LOOK.other);
}

// --- showing

function render() {
  const { shown } = state;
  const single = shown && isOne(shown.products);
  byId("one").hidden = !single;
  byId("many").hidden = !shown || single;
  if (single) {
    showOne(shown.answers[0], shown.version, shown.milliseconds);
    showWhy(shown.why, [labelsOf(state.model ?? {})[0], state.model?.compared?.label]);
  } else if (shown) showMany(shown.products, shown.answers, shown.version);
  byId("file").hidden = !state.file;
  byId("text").hidden = Boolean(state.file);
  say(byId("file-name"), state.file?.name ?? "");
  if (state.model) {
    showVersion(state.model, state.reachable);
    say(byId("name"), String(state.model.name ?? "hotserve"));
    byId("examples").hidden = !knowsExamples(state.model);
  }
  showNotice(state, { askForToken, ask });
  showCurl();
}

/** The examples are toys, books and games: nothing to ask a model that says it knows others. */
const knowsExamples = ({ expected }) => !expected?.products || "brinquedo" in expected.products;

function showCurl() {
  const text = byId("text").value.trim().split("\n")[0] || "boneca de pano";
  say(byId("curl"), curl("invocations", { type: "text/csv", body: text }));
}

// --- the token

let isDismissed = false;

/** Asks by itself once; whoever closes the dialog has a button to open it again. */
function needToken() {
  if (!isDismissed) askForToken();
}

function askForToken() {
  const dialog = byId("token-dialog");
  if (dialog.open) return;
  byId("token-wrong").hidden = !hasToken();
  byId("token").value = "";
  dialog.showModal();
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(byId("token").value.trim());
  state.problem = null;
  byId("token-dialog").close();
  ask();
  look();
});
byId("token-cancel").addEventListener("click", () => byId("token-dialog").close());
byId("token-dialog").addEventListener("close", () => {
  isDismissed = state.problem?.kind === "token";
});

// --- what the user does

const text = byId("text");

text.addEventListener("input", () => {
  ask(PAUSE);
  showCurl();
});

byId("ask").addEventListener("submit", (event) => event.preventDefault());

for (const button of document.querySelectorAll(".example")) {
  button.addEventListener("click", () => {
    state.file = null;
    text.value = button.textContent;
    render();
    ask();
  });
}

async function useFile(file) {
  const content = await readFile(file).catch((error) => error);
  state.file = { name: file.name, content };
  ask();
  render();
}

const chooser = byId("chooser");
byId("open").addEventListener("click", () => chooser.click());
chooser.addEventListener("change", async () => {
  if (chooser.files.length) await useFile(chooser.files[0]);
  chooser.value = "";
});
byId("file-close").addEventListener("click", () => {
  state.file = null;
  ask();
  render();
  text.focus();
});

const form = byId("ask");
form.addEventListener("dragover", (event) => {
  event.preventDefault();
  form.classList.add("dropping");
});
form.addEventListener("dragleave", () => form.classList.remove("dropping"));
form.addEventListener("drop", (event) => {
  form.classList.remove("dropping");
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  useFile(event.dataTransfer.files[0]);
});

byId("download").addEventListener("click", () => {
  const { products, answers, version } = state.shown;
  const content = resultsCsv(products, answers, { decimal: decimalMark(), version });
  const name = state.file?.name.replace(/\.[^.]*$/, "") ?? "produtos";
  download(words("fileName", name), content);
});

document.addEventListener("visibilitychange", () => look());

showLanguage("title", () => {
  byId("docs").href = `docs?lang=${currentLanguage()}`;
  render();
});
look({ isFirst: true });
// The browser may have kept the text over a reload.
if (text.value) ask();
