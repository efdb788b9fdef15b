// Texts and tables of products: what a user pastes or opens, and what is downloaded.

const WHOLE = ["texto", "informacao"];
const PARTS = ["nome", "descricao"];
const KNOWN = [...WHOLE, ...PARTS];
const LONGEST_NAME = 60;

/**
 * @typedef {object} Products
 * @property {string[]|null} columns names as they stand in the header row; null without one
 * @property {string[]} used those of them that make the text
 * @property {string[][]} rows a row for each product; without a header, the text alone
 * @property {string[]} texts what the model is asked about, one for each row
 * @property {number|null} tooLong number of the first row with more fields than the header
 */

/**
 * Reads products: a line each, or a table when the first line names a known column.
 * @param {string} text
 * @returns {Products}
 */
export function read(text) {
  const content = text.replace(/^\uFEFF/, "");
  const delimiter = delimiterOfHeader(content);
  if (delimiter !== null) {
    const [header, ...rows] = parse(content, delimiter);
    if (rows.length) return table(header, rows);
  }
  const rows = content
    .split(/\r\n|\n|\r/)
    .filter((line) => line.trim())
    .map((line) => [unquote(line.trim())]);
  return { columns: null, used: [], rows, texts: rows.map(([line]) => line), tooLong: null };
}

function table(header, rows) {
  const columns = header.map((name) => name.trim());
  const names = columns.map(plain);
  const place = (name) => names.indexOf(name);
  const whole = WHOLE.find((name) => names.includes(name));
  const used = whole ? [whole] : PARTS.filter((name) => names.includes(name));
  const texts = rows.map((row) =>
    used.map((name) => (row[place(name)] ?? "").trim()).filter(Boolean).join(" "),
  );
  const tooLong = rows.findIndex((row) => row.length > columns.length);
  const fitted = rows.map((row) => columns.map((_, index) => row[index] ?? ""));
  return {
    columns,
    used: used.map((name) => columns[place(name)]),
    rows: fitted,
    texts,
    tooLong: tooLong < 0 ? null : tooLong + 1,
  };
}

/** "Descrição " and "descricao" are the same name. */
function plain(name) {
  return name.trim().normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/** How the header row is divided; "" for a single column, null where the first row is none. */
function delimiterOfHeader(content) {
  const first = content.split(/\r\n|\n|\r/).find((line) => line.trim()) ?? "";
  for (const delimiter of [";", ",", "\t"]) {
    const names = first.split(delimiter).map((name) => plain(unquote(name.trim())));
    if (names.length < 2 || names.some((name) => name.length > LONGEST_NAME)) continue;
    if (names.some((name) => KNOWN.includes(name))) return delimiter;
  }
  return KNOWN.includes(plain(unquote(first.trim()))) ? "" : null;
}

/** Rows of fields; a field in double quotes may hold delimiters, line ends and doubled quotes. */
function parse(content, delimiter) {
  const rows = [];
  let row = [];
  let field = "";
  let quoted = false;
  const endField = () => {
    row.push(field);
    field = "";
  };
  const endRow = () => {
    endField();
    if (row.some((each) => each.trim())) rows.push(row);
    row = [];
  };
  for (let at = 0; at < content.length; at += 1) {
    const character = content[at];
    if (quoted) {
      if (character !== '"') field += character;
      else if (content[at + 1] === '"') field += content[(at += 1)];
      else quoted = false;
    } else if (character === '"' && !field.trim()) {
      quoted = true;
      field = "";
    } else if (character === delimiter) endField();
    else if (character === "\n" || character === "\r") endRow();
    else field += character;
  }
  endRow();
  return rows;
}

function unquote(line) {
  const inside = /^"(.*)"$/s.exec(line)?.[1];
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
  const free = (name) => (given.map(plain).includes(name) ? `${name}_prevista` : name);
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

/** The text of a file, in UTF-8 or, failing that, as Windows writes it. */
export async function readFile(file) {
  const bytes = await file.arrayBuffer();
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}
