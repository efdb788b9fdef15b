// Making elements. Texts only ever become text nodes: what a server or a file says is no markup.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/**
 * A new element.
 * @param {string} name of the tag
 * @param {Record<string, string>} attributes
 * @param {...(Node|string|null)} children null ones are left out
 */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Sets the text only where it is another: nothing is announced twice. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
