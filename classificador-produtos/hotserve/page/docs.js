// The description of the API: each example can be sent as it is or changed, and copied for a terminal.

import { curl } from "./curl.js";
import { request } from "./service.js";

for (const form of document.querySelectorAll("form.try")) {
  const { method, path, type } = form.dataset;
  const [send, copy] = form.querySelectorAll("button");
  const area = form.querySelector("textarea");
  const reply = form.querySelector(".reply");
  const body = () => area?.value;
  form.querySelector(".buttons").hidden = false;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    const headers = type ? { "Content-Type": type } : {};
    try {
      const response = await request(path, { method, headers, body: body() });
      show(reply, `${response.status} ${response.statusText}`, await response.text());
    } catch (error) {
      show(reply, error.message || error.kind, "");
    }
    send.disabled = false;
  });

  const label = copy.textContent;
  copy.addEventListener("click", async () => {
    const line = curl(path, { method, type, body: body() });
    // Beside the copy, as a browser lets no page without TLS write to the clipboard.
    show(reply, "", line);
    try {
      await navigator.clipboard.writeText(line);
      copy.textContent = copy.dataset.done;
      setTimeout(() => (copy.textContent = label), 2000);
    } catch {
      getSelection().selectAllChildren(reply.querySelector("pre"));
    }
  });
}

function show(reply, status, text) {
  const title = document.createElement("p");
  const shown = document.createElement("pre");
  title.textContent = status;
  shown.textContent = text.trimEnd();
  shown.tabIndex = 0;
  reply.replaceChildren(...(status ? [title] : []), ...(shown.textContent ? [shown] : []));
}
