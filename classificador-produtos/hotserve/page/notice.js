// One line that says why there is no answer, and what can be done.

import { byId, make } from "./elements.js";
import { Unreadable } from "./products.js";
import { number, words } from "./words.js";

/**
 * Shows it, if there is something to say.
 * @param {{problem: Error|null, reachable: boolean, model: object|null}} state
 * @param {{askForToken: Function, ask: Function}} actions of its button
 */
export function showNotice(state, actions) {
  const [text, detail, action] = notice(state, actions);
  const element = byId("notice");
  element.hidden = !text;
  const key = JSON.stringify([text, detail]);
  // The same words again would be announced again.
  if (element.dataset.said === key) return;
  element.dataset.said = key;
  const line = detail ? [" ", make("span", { lang: "en" }, detail)] : [];
  const parts = [make("p", {}, text, ...line)];
  if (action) {
    const button = make("button", { type: "button" }, words(action[0]));
    button.addEventListener("click", action[1]);
    parts.push(button);
  }
  element.replaceChildren(...parts);
}

/** [text, the server's own line, [word, what its button does]]. */
function notice({ problem, reachable, model }, { askForToken, ask }) {
  const kind = problem?.kind;
  if (problem instanceof Unreadable) {
    return [words("unreadable")[kind](number(problem.line), problem.detail)];
  }
  if (kind === "token") return [words("needsToken"), "", ["giveToken", askForToken]];
  if (kind === "unreachable" || !reachable) return [words("unreachable")];
  const serves = model?.since;
  if (model && !serves) return [words("noVersion"), model.message];
  if (kind === "unavailable") {
    if (model?.state === "restarting") return [words("restarting")];
    return [words("busy"), problem.message];
  }
  if (problem) return [words(kind), problem.message, ["again", () => ask()]];
  return [""];
}
