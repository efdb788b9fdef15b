// The server: which model answers, and its answers. Addresses are relative, so that the page
// works behind a proxy that adds a path in front.

import { asCsvBody } from "./products.js";

const TOKEN = "hotserve-token";
const LONGEST_WAIT = 5;

/**
 * Why there is no answer.
 * kind: `unreachable`, `unavailable` (503), `token` (401), `tooLarge`, `slow` (504), `refused`
 * (another 4xx) or `broken`. message: the server's own line. retryAfter: seconds.
 */
export class Problem extends Error {
  constructor(kind, message = "", retryAfter = 2) {
    super(message);
    this.kind = kind;
    this.retryAfter = Math.min(Math.max(retryAfter, 0.5), LONGEST_WAIT);
  }

  /** Whether asking again later may help. */
  get passes() {
    return this.kind === "unreachable" || this.kind === "unavailable";
  }
}

const KINDS = { 401: "token", 403: "token", 413: "tooLarge", 503: "unavailable", 504: "slow" };

async function problemOf(response) {
  let message = "";
  try {
    message = String((await response.json()).message ?? "");
  } catch {
    // A proxy's page: the status says enough.
  }
  const kind = KINDS[response.status] ?? (response.status < 500 ? "refused" : "broken");
  const retryAfter = Number(response.headers.get("Retry-After")) || 2;
  return new Problem(kind, message || `HTTP ${response.status}`, retryAfter);
}

/**
 * `fetch`, with the token that is in use.
 * @throws {Problem} no answer came; or AbortError
 */
export async function request(path, options) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
  try {
    return await fetch(path, { ...options, headers, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("unreachable");
  }
}

/** What an answer says; a connection that breaks off half-way, or a page in between, said nothing. */
async function read(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("unreachable");
  }
}

/** From now on, and until this tab is closed, requests carry this token. */
export function useToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

/** Whether a token is in use. */
export const hasToken = () => sessionStorage.getItem(TOKEN) !== null;

/**
 * What `/model` says.
 * @throws {Problem}
 */
export const model = () => get("model");

/**
 * What `/models` says, of a server of many models.
 * @throws {Problem}
 */
export const models = () => get("models");

async function get(path) {
  const response = await request(path, { signal: AbortSignal.timeout?.(10000) });
  if (!response.ok) throw await problemOf(response);
  return read(response);
}

/**
 * @typedef {object} Answer
 * @property {string} category
 * @property {Map<string, number>|null} probabilities by category; null where the model has none
 */

// The version that takes products as CSV only; another one is asked for probabilities again.
let csvOnly = null;
let lastVersion = null;

/**
 * Asks about each text.
 * @param {string[]} texts
 * @param {AbortSignal} signal
 * @returns {Promise<{version: string|null, answers: Answer[]}>} an answer for each text
 * @throws {Problem} or AbortError
 */
export async function classify(texts, signal) {
  const form = csvOnly !== null && csvOnly === lastVersion ? asCsv : asJson;
  let response = await invoke(form(texts), signal);
  if (form === asJson && response.status === 400) {
    const other = await invoke(asCsv(texts), signal);
    if (other.ok) {
      csvOnly = other.headers.get("X-Model-Version");
      response = other;
    }
  }
  if (!response.ok) throw await problemOf(response);
  const version = response.headers.get("X-Model-Version");
  lastVersion = version;
  const said = await read(response);
  const predictions = said.predictions ?? said;
  if (!Array.isArray(predictions) || predictions.length !== texts.length) {
    throw new Problem("uncountable");
  }
  return { version: version || null, answers: predictions.map(answerOf) };
}

/**
 * @typedef {object} Explanation
 * @property {string} category
 * @property {string|null} runner_up the category that came second
 * @property {number} margin between the two: `start` and all weights together
 * @property {number} start the margin of a text without words
 * @property {{term: string, count: number, weight: number|null}[]} terms in the order of the text;
 *   a weight is below zero where the term speaks for the runner-up, and null where the model does
 *   not know it
 */

/**
 * @typedef {object} Told
 * @property {string|null} version
 * @property {Explanation} explanation
 */

/**
 * Which words of a text decided.
 * @param {string} text
 * @param {AbortSignal} signal
 * @returns {Promise<Told[]|null>} of the version that answers, and of the one that is shown beside,
 *   if there is one; null where it can't be told: the answer is worth showing without
 */
export async function explain(text, signal) {
  try {
    const body = JSON.stringify({ inputs: [text] });
    const headers = { "Content-Type": "application/json" };
    const response = await request("explain", { method: "POST", headers, body, signal });
    if (!response.ok) return null;
    const { explanations, compared } = await read(response);
    const version = response.headers.get("X-Model-Version");
    const told = [{ version, explanation: explanations[0] }];
    if (compared) told.push({ version: compared.version, explanation: compared.explanations[0] });
    return told;
  } catch (error) {
    if (error instanceof Problem) return null;
    throw error;
  }
}

function invoke({ type, body }, signal) {
  return request("invocations", { method: "POST", headers: { "Content-Type": type }, body, signal });
}

function asJson(texts) {
  const body = JSON.stringify({ inputs: texts, params: { probabilities: true } });
  return { type: "application/json", body };
}

const asCsv = (texts) => ({ type: "text/csv", body: asCsvBody(texts) });

function answerOf(prediction) {
  const { categoria, probabilidades } = Object(prediction);
  if (categoria === undefined) {
    const isText = typeof prediction === "string";
    return { category: isText ? prediction : JSON.stringify(prediction), probabilities: null };
  }
  const pairs = Object.entries(Object(probabilidades)).filter(([, p]) => Number.isFinite(p));
  return { category: String(categoria), probabilities: pairs.length ? new Map(pairs) : null };
}
