// Texts and tables of products: what a user pastes or opens, and what is downloaded.
// Tables are read as the server reads them (hotserve/inputs); tests hold both to the same ones.

import { CATEGORY, TEXT_COLUMNS } from "./columns.js";

const KNOWN = [...TEXT_COLUMNS.flat(2), CATEGORY];
const SEPARATORS = [";", ",", "\t", "|"];
const NONE = ""; // with one column a comma is part of the text
const IGNORED = /[\p{Mn}\p{Me}\p{Cc}\p{Cf}\p{So}\p{Zl}\p{Zp}\p{Zs}]/gu;
const LINE_END = /\r\n|\n|\r/;
// Ctrl-Z was the end of a text in DOS, zeros are of blocks of a file that were never written.
const LEFT_AT_THE_END = /[\r\n][\s\x1A\0]*$/;
const BLANK = /^[\s\uFEFF]*$/;
const SEPARATOR_LINE = /^\s*"?sep=.?"?[;,\t| ]*$/i;
const REPORT = 20; // lines above a header that may be those of a report
const LONGEST_HEADER = 10000;
const PACKED = [[0x50, 0x4b, 3, 4], [0xd0, 0xcf, 0x11, 0xe0], [0x1f, 0x8b]]; // .xlsx, .xls, gzip
const ENCODED_TWICE = /Ã[\u0080-\u009F£§©¡ª³µº¢´¼±\u00ADƒ‡‰]|Â[\u0080-\u009Fºª°®´]/;

/**
 * @typedef {object} Products
 * @property {string[]|null} columns names as they stand in the header row; null without one
 * @property {string[]} used those of them that make the text
 * @property {string[][]} rows a row for each product; without a header, the text alone
 * @property {string[]} texts what the model is asked about, one for each row
 * @property {string[]|null} labels the category that the table gives to each row; null without
 *   such a column
 */

/** What can't be read. kind: among `unreadable` in words.js. line: where, or 0. */
export class Unreadable extends Error {
  constructor(kind, line = 0, detail = "") {
    super(`${kind} ${line} ${detail}`);
    Object.assign(this, { kind, line, detail });
  }
}

/**
 * Reads products: a line each, or a table when the first line names a known column.
 * @param {string} content
 * @param {string[]} modelColumns columns of texts that the model's signature names
 * @returns {Products} none, of an empty text
 * @throws {Unreadable}
 */
export function read(content, modelColumns = []) {
  refuseOtherKinds(content);
  if (/[\x1A\0]/.test(content.slice(-4))) content = content.replace(LEFT_AT_THE_END, "");
  const own = modelColumns.map(fold);
  const groups = own.length === 1 ? [[own], ...TEXT_COLUMNS] : TEXT_COLUMNS;
  const known = [...KNOWN, ...own];
  const lines = content.split(LINE_END);
  const next = (from) => lines.findIndex((line, index) => index >= from && !BLANK.test(line));
  let first = next(0);
  if (SEPARATOR_LINE.test(lines[first]?.replace(/^\uFEFF+/, ""))) first = next(first + 1);
  if (first < 0) return { columns: null, used: [], rows: [], texts: [], labels: null };
  lines[first] = lines[first].replace(/^[\s\uFEFF]*\uFEFF/, "");
  const several = withOpenLines(lines, first);
  for (const end of new Set([several, first + 1])) {
    const line = lines.slice(first, end).join("\n");
    const header = headerOf(line, known);
    if (header.known && !hasPairs(line)) throw new Unreadable("neverClosed", first + 1);
    if (header.known) return table(header, lines, first, end, groups);
  }
  if (lines[first].length > LONGEST_HEADER && next(first + 1) < 0) refuseOneLine(lines[first], first, known);
  const below = lines
    .slice(first + 1, first + 1 + REPORT)
    .findIndex((line) => headerOf(line, known).known > 1);
  if (below >= 0) throw new Unreadable("linesAboveHeader", first + below + 2);
  const texts = lines.slice(first).filter((line) => line.trim()).map(unquote);
  return { columns: null, used: [], rows: texts.map((text) => [text]), texts, labels: null };
}

/** The line ends of a table may have been lost on the way. */
function refuseOneLine(line, first, known) {
  const { names } = headerOf(line.slice(0, LONGEST_HEADER), known);
  const found = names.filter((name) => known.includes(fold(name)));
  // One name inside may be a word of a long text.
  if (found.length > 1 || (found.length && found[0] === names[0])) {
    throw new Unreadable("noRows", first + 1, found.slice(0, 4).join(", "));
  }
}

function refuseOtherKinds(content) {
  const twice = ENCODED_TWICE.exec(content);
  if (twice) throw new Unreadable("encodedTwice", lineAt(content, twice.index), twice[0]);
  const start = content.slice(0, 1000).replace(/^[\s\uFEFF]+/, "");
  if (/^<(!doctype\s+html|html|\?xml)\b/i.test(start) && content.includes("</")) {
    throw new Unreadable("webPage");
  }
  if (/^(\{\s*"|\[\s*[[{"])/.test(start) && /[\]}]$/.test(content.trimEnd())) {
    throw new Unreadable("json");
  }
}

/** Behind the line and those below it into which a name in quotes goes on. */
function withOpenLines(lines, first) {
  let line = "";
  for (let at = first; at < lines.length && line.length <= LONGEST_HEADER; at += 1) {
    line += lines[at];
    if (hasPairs(line)) return at + 1;
  }
  return first + 1;
}

/** Whether all quotes are closed. */
const hasPairs = (line) => line.split('"').length % 2 === 1;

const lineAt = (content, index) => content.slice(0, index).split(LINE_END).length;

function table({ names, separator }, lines, first, end, groups) {
  const folded = names.map(fold);
  const isThere = (name) => folded.includes(name);
  const group = groups.find((parts) => parts.flat().some(isThere));
  if (!group) throw new Unreadable("noText", first + 1, names.join(", "));
  const used = group.map((part) => part.find(isThere)).filter((name) => name !== undefined);
  const twice = used.find((name) => folded.indexOf(name) !== folded.lastIndexOf(name));
  if (twice) throw new Unreadable("columnTwice", first + 1, twice);
  const indexes = used.map((name) => folded.indexOf(name));
  // In any order: files that were joined may have had their columns in another.
  const bare = (fields) => fields.map((field) => field.replace(/^[\uFEFF ]+|[\uFEFF ]+$/g, "").toLowerCase()).sort();
  const [rows, texts] = [[], []];
  for (const { line, fields } of parse(lines.slice(end), separator, end + 1)) {
    const row = fitted(fields, names.length, separator, line);
    if (JSON.stringify(bare(fields.slice(0, names.length))) === JSON.stringify(bare(names))) {
      throw new Unreadable("headerAgain", line);
    }
    const text = indexes.map((index) => row[index]).filter(Boolean).join(" ");
    if (!text.trim()) continue;
    rows.push(row);
    texts.push(text);
  }
  if (!rows.length) throw new Unreadable("noRows", first + 1, names.slice(0, 4).join(", "));
  const label = folded.indexOf(CATEGORY);
  const labels = label < 0 ? null : rows.map((row) => row[label].trim());
  return { columns: names, used: indexes.map((index) => names[index]), rows, texts, labels };
}

/** A row as long as the header. */
function fitted(fields, width, separator, line) {
  if (fields.length === 1 && width > 1 && fields[0].includes(separator)) {
    // A spreadsheet that expects another separator puts each line in one cell.
    const [inside] = parse([fields[0]], separator, line);
    if (inside.fields.length === width) return inside.fields;
  }
  if (fields.slice(width).some((field) => field.trim())) {
    throw new Unreadable("tooLong", line, `${fields.length} > ${width}`);
  }
  return Array.from({ length: width }, (_, index) => fields[index] ?? "");
}

/** "Descrição " and "descricao" are the same name: case, accents and what nobody sees don't count. */
const fold = (name) => Array.from(name, visible).join("").trim().toLowerCase();

const visible = (character) =>
  character === " " ? " " : character.replace(IGNORED, "").normalize("NFKD").replace(IGNORED, "");

/** A line as a header: by the separator that gives most columns that are known. */
function headerOf(line, knownNames, inQuotes = false) {
  let best = { names: [line.trim()], separator: NONE, known: 0 };
  if (line.length > LONGEST_HEADER) return best;
  for (const separator of SEPARATORS) {
    const names = cut(line.trim(), separator);
    while (names.length > 1 && !fold(names.at(-1))) names.pop();
    const known = names.filter((name) => knownNames.includes(fold(name))).length;
    if (known > best.known || (known === best.known && names.length > best.names.length)) {
      best = { names, separator: line.includes(separator) ? separator : NONE, known };
    }
  }
  const isQuoted = best.names.length === 1 && line.trim().startsWith('"') && !inQuotes;
  return isQuoted ? headerOf(unquote(line.trim()), knownNames, true) : best;
}

function cut(line, separator) {
  let rows;
  try {
    rows = parse([line], separator, 1);
  } catch {
    rows = parse([`${line}"`], separator, 1);
  }
  return rows.length > 1 ? [line] : (rows[0]?.fields ?? [""]);
}

/**
 * Rows of fields, each with the number of its line, empty ones left out; a field in double quotes
 * may hold separators, line ends and doubled quotes.
 */
function parse(lines, separator, number) {
  const content = lines.join("\n");
  const rows = [];
  let fields = [];
  let field = "";
  let state = "start"; // of a field; then "plain", "quoted", or "closed" behind its second quote
  let line = number;
  let begun = number;
  const endField = () => {
    fields.push(field);
    [field, state] = ["", "start"];
  };
  const endRow = () => {
    endField();
    if (fields.length > 1 || fields[0].trim()) rows.push({ line: begun, fields });
    fields = [];
    begun = line + 1;
  };
  for (let at = 0; at < content.length; at += 1) {
    const character = content[at];
    if (state === "quoted") {
      if (character !== '"') field += character;
      else if (content[at + 1] === '"') field += content[(at += 1)];
      else state = "closed";
    } else if (character === '"' && state === "start") state = "quoted";
    else if (character === separator) endField();
    else if (character === "\n") endRow();
    else {
      field += character;
      state = "plain";
    }
    if (character === "\n") line += 1;
  }
  if (state === "quoted") throw new Unreadable("neverClosed", begun);
  endRow();
  return rows;
}

function unquote(line) {
  const inside = /^\s*"(.*)"\s*$/s.exec(line)?.[1];
  if (inside === undefined || inside.replaceAll('""', "").includes('"')) return line;
  return inside.replaceAll('""', '"');
}

/**
 * text/csv that hotserve reads as exactly these texts, for models that refuse the JSON form.
 * @param {string[]} texts
 */
export function asCsvBody(texts) {
  return ["texto", ...texts.map(quote)].join("\r\n");
}

const quote = (field) => `"${field.replaceAll('"', '""')}"`;

/**
 * The table of results as a file that the spreadsheets of the page's language open.
 * @param {Products} products
 * @param {import("./service.js").Answer[]} answers
 * @param {{decimal: string, version: string|null}} how
 */
export function resultsCsv(products, answers, { decimal, version }) {
  const delimiter = decimal === "," ? ";" : ",";
  const given = products.columns ?? ["texto"];
  const categories = [...new Set(answers.flatMap((each) => [...(each.probabilities?.keys() ?? [])]))];
  const free = (name) => (given.map(fold).includes(name) ? `${name}_prevista` : name);
  const added = [free("categoria"), ...(categories.length ? ["probabilidade"] : []), ...categories];
  const number = (value) => (value ?? "").toString().replace(".", decimal);
  const lines = products.rows.map((row, index) => {
    const { category, probabilities } = answers[index];
    const figures = categories.map((name) => number(probabilities?.get(name)));
    const best = categories.length ? [number(probabilities?.get(category))] : [];
    return [...row.map(harmless), harmless(category), ...best, ...figures, version ?? ""];
  });
  const all = [[...given, ...added, "versao"].map(harmless), ...lines];
  const field = (text) => (/[",;\t\r\n]/.test(text) ? quote(text) : text);
  return `\uFEFF${all.map((line) => line.map(field).join(delimiter)).join("\r\n")}\r\n`;
}

/** A spreadsheet would run a text that begins like a formula. */
function harmless(text) {
  return /^\s*[=+\-@]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
}

/**
 * The text of a file, in UTF-8 or, failing that, as Windows writes it.
 * @throws {Unreadable}
 */
export async function readFile(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (PACKED.some((start) => start.every((byte, at) => bytes[at] === byte))) {
    throw new Unreadable("spreadsheet");
  }
  const wide = wideEncoding(bytes);
  if (wide) throw new Unreadable("encoding", 0, wide);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const text = new TextDecoder("windows-1252").decode(bytes);
    // Both encodings in one file: no reading of it is right.
    if (ENCODED_TWICE.test(text)) {
      const valid = new TextDecoder().decode(bytes);
      throw new Unreadable("encodings", lineAt(valid, valid.indexOf("\uFFFD")));
    }
    return text;
  }
}

function wideEncoding(bytes) {
  const start = bytes.slice(0, Math.min(64, bytes.length - (bytes.length % 4)));
  const hasMark = (start[0] === 0xff && start[1] === 0xfe) || (start[0] === 0xfe && start[1] === 0xff);
  const zeros = [0, 1, 2, 3].map(
    (offset) => start.filter((byte, at) => at % 4 === offset && !byte).length > start.length / 6,
  );
  const pattern = zeros.map(Number).join("");
  if (["0111", "1110"].includes(pattern)) return "UTF-32";
  return hasMark || ["0101", "1010"].includes(pattern) ? "UTF-16" : null;
}
