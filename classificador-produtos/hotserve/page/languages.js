// The language of a page: its fixed texts, and the buttons that choose it.

import { say } from "./elements.js";
import { currentLanguage, speak, words } from "./words.js";

/**
 * Shows the page in its language, and again in each that is chosen.
 * @param {string} title the word for the document's title
 * @param {Function} render draws what is not fixed
 */
export function showLanguage(title, render) {
  const buttons = document.querySelectorAll("[data-language]");
  const show = () => {
    const language = currentLanguage();
    document.documentElement.lang = language;
    document.title = words(title);
    for (const element of document.querySelectorAll("[data-words]")) {
      say(element, words(element.dataset.words));
    }
    for (const element of document.querySelectorAll("[data-label]")) {
      element.setAttribute("aria-label", words(element.dataset.label));
    }
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.language === language));
    }
    render();
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      speak(button.dataset.language);
      show();
    });
  }
  show();
}
