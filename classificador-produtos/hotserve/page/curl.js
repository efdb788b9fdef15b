// A request as a line for a terminal.

import { hasToken } from "./service.js";

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/**
 * The line for curl; a token is in it by the name of a variable, so that it can be shown.
 * @param {string} path relative, as the page's own requests
 * @param {{method?: string, type?: string, body?: string}} what
 */
export function curl(path, { method = "POST", type = "", body }) {
  const parts = [`curl ${new URL(path, location.href)}`];
  if (type) parts.push(`-H ${quoted(`Content-Type: ${type}`)}`);
  if (hasToken()) parts.push('-H "Authorization: Bearer $HOTSERVE_TOKEN"');
  // With an @ in front a body would be the name of a file.
  const data = body?.startsWith("@") ? "--data-raw" : "--data-binary";
  if (body !== undefined) parts.push(`${data} ${quoted(body)}`);
  else if (method !== "GET") parts.push(`-X ${method}`);
  return parts.join(" \\\n  ");
}
