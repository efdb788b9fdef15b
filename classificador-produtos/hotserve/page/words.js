// Everything the page says, in its two languages.

const ONE_OR_MORE = (count, one, more) => (count === 1 ? one : more);

const WORDS = {
  "pt-BR": {
    title: "De que categoria é este produto?",
    label: "Nome ou descrição do produto",
    hint: "Uma linha para cada produto: cole várias, ou abra um CSV, e a resposta vira uma tabela.",
    open: "Abrir CSV…",
    closeFile: "Fechar",
    try: "Experimente",
    answer: "Resposta",
    category: "Categoria",
    product: "Produto",
    probability: "Probabi\u00ADlidade",
    download: "Baixar CSV",
    table: "Tabela de respostas",
    progress: "Progresso",
    fileName: (name) => `${name}-categorias.csv`,
    program: "Perguntar de um programa",
    programHint: "Uma linha para cada produto. O que está no ar:",
    answered: (version, ms) => (version ? `versão ${version} · ${ms} ms` : `${ms} ms`),
    others: (count) => `outras ${count}`,
    noProbabilities: "Este modelo dá a categoria, sem probabilidades.",
    classified: (count) => `${count} ${ONE_OR_MORE(count, "produto", "produtos")}`,
    classifying: (done, all) => `${done} de ${all} produtos`,
    readTable: (columns) => `Lido como tabela, pelas colunas ${columns}.`,
    firstRows: (shown, all) => `As primeiras ${shown} de ${all}; no arquivo estão todas.`,
    mixed: (version) => `Respostas da versão ${version}.`,

    why: (category, other) => `Por que ${category}, e não ${other}`,
    noTerms: "Nenhuma palavra que conte.",
    start: "antes de ler",
    sum: "soma",
    unknownTerm: "não conhece",
    moreTerms: (count) => `e mais ${count}`,
    whyColours: (category, other) =>
      `Verde puxa para ${category}, laranja para ${other}; tracejadas são as que o modelo não conhece.`,
    whyExact:
      "O modelo é linear: cada palavra tem um peso, e a soma decide. Estes números são a própria conta, não uma estimativa.",

    score: (hits, counted, share) => `${hits} de ${counted} certos (${share})`,
    misses: (count) => `${count} ${ONE_OR_MORE(count, "erro", "erros")}`,
    scoreHint:
      "Pela coluna categoria da tabela. De produtos com que o modelo foi treinado ele sabe a resposta; a acurácia que vale é a dos que nunca viu.",
    matrix: "Matriz de confusão: nas linhas a categoria da tabela, nas colunas a do modelo",
    labelled: (label) => `na tabela: ${label}`,

    unreadable: {
      tooLong: (line) => `A linha ${line} tem mais campos que o cabeçalho; ponha entre aspas um texto que tem o separador.`,
      neverClosed: (line) => `Na linha ${line} uma aspa abre um campo e não fecha.`,
      columnTwice: (line, name) => `A linha ${line} tem duas colunas ${name}; mude o nome de uma.`,
      headerAgain: (line) => `A linha ${line} é o cabeçalho outra vez; abra uma tabela de cada vez.`,
      linesAboveHeader: (line) => `O cabeçalho está na linha ${line}, com outras linhas acima; tire-as.`,
      noText: (line, names) => `Nenhuma coluna da linha ${line} (${names}) é um texto; dê a uma o nome de nome, descricao ou texto.`,
      noRows: (line, names) => `A linha ${line} é um cabeçalho (${names}), e abaixo dela não há texto.`,
      encodedTwice: (line, letter) => `A linha ${line} foi codificada duas vezes: tem ${letter} no lugar de uma letra com acento; salve o arquivo de novo em UTF-8.`,
      encodings: (line) => `O arquivo está em UTF-8, menos a linha ${line}; salve-o de novo em UTF-8.`,
      encoding: (_, name) => `O arquivo está em ${name}; salve-o como CSV em UTF-8.`,
      webPage: () => "Isto é uma página da web, não uma tabela.",
      json: () => "Isto é JSON, não uma tabela.",
      spreadsheet: () => "Isto é uma planilha (ou um zip); salve-a como CSV em UTF-8.",
    },

    unreachable: "O servidor não responde. Tentando de novo…",
    noVersion: "Ainda não há modelo para responder. A página começa sozinha quando houver um.",
    busy: "O servidor está ocupado. Tentando de novo…",
    restarting: "O modelo está sendo iniciado de novo. A resposta vem em instantes.",
    refused: "O modelo não aceitou isto:",
    tooLarge: "É texto demais de uma vez; mande menos linhas por vez.",
    slow: "O modelo não respondeu a tempo.",
    broken: "O servidor deu um erro:",
    uncountable: "O modelo não deu uma resposta por produto; esta página não sabe mostrar o que ele diz.",
    again: "Tentar de novo",
    needsToken: "Este servidor só responde a quem tem um token.",
    giveToken: "Informar o token",
    tokenTitle: "Este servidor pede um token",
    tokenWrong: "O servidor não aceitou este token.",
    token: "Token",
    tokenHint: "É o valor de HOTSERVE_TOKEN no servidor, ou o de uma linha do arquivo dado em --token-file, sem o nome. Fica guardado só até esta aba ser fechada.",
    cancel: "Cancelar",
    continue: "Continuar",

    model: "Modelo",
    version: (version) => `Versão ${version}`,
    noVersionYet: "Nenhuma versão",
    state: {
      serving: "no ar",
      starting: "iniciando",
      waiting: "esperando",
      restarting: "reiniciando",
      unreachable: "sem contato",
    },
    accuracy: "Acurácia",
    f1: "F1 macro",
    holdoutHint: "em produtos que o modelo nunca viu",
    since: "No ar desde",
    lane: "Via rápida",
    lanes: { open: "aberta", shut: "fechada", compiling: "em preparo" },
    switches: "Últimas trocas",
    first: (to) => `versão ${to} entrou`,
    switched: (from, to) => `versão ${from} → ${to}`,
    took: (seconds) => `em ${seconds} s`,
    coming: (version) => `A versão ${version} está a caminho`,
    steps: {
      fetch: "buscando os arquivos",
      start: "iniciando o processo",
      compare: "comparando as respostas",
    },
    forSeconds: (seconds) => `há ${seconds} s`,
    lastTook: (seconds) => `A última troca levou ${seconds} s.`,
    failed: (version) => `A versão ${version} não iniciou; a atual continua.`,
    registryAway: "O MLflow não responde; a versão atual continua.",

    models: "Modelos",
    versionColumn: "Versão",
    stateColumn: "Estado",
  },
  en: {
    title: "Which category is this product?",
    label: "Name or description of the product",
    hint: "One line for each product: paste several, or open a CSV, and the answer becomes a table.",
    open: "Open CSV…",
    closeFile: "Close",
    try: "Try",
    answer: "Answer",
    category: "Category",
    product: "Product",
    probability: "Proba\u00ADbility",
    download: "Download CSV",
    table: "Table of answers",
    progress: "Progress",
    fileName: (name) => `${name}-categories.csv`,
    program: "Ask from a program",
    programHint: "One line for each product. What is being served:",
    answered: (version, ms) => (version ? `version ${version} · ${ms} ms` : `${ms} ms`),
    others: (count) => `${count} others`,
    noProbabilities: "This model gives the category, without probabilities.",
    classified: (count) => `${count} ${ONE_OR_MORE(count, "product", "products")}`,
    classifying: (done, all) => `${done} of ${all} products`,
    readTable: (columns) => `Read as a table, by the columns ${columns}.`,
    firstRows: (shown, all) => `The first ${shown} of ${all}; the file has all of them.`,
    mixed: (version) => `Answers of version ${version}.`,

    why: (category, other) => `Why ${category}, and not ${other}`,
    noTerms: "No word that counts.",
    start: "before reading",
    sum: "sum",
    unknownTerm: "not known",
    moreTerms: (count) => `and ${count} more`,
    whyColours: (category, other) =>
      `Green speaks for ${category}, orange for ${other}; dashed are those that the model does not know.`,
    whyExact:
      "The model is linear: each word has a weight, and the sum decides. These numbers are that sum itself, not an estimate.",

    score: (hits, counted, share) => `${hits} of ${counted} right (${share})`,
    misses: (count) => `${count} ${ONE_OR_MORE(count, "miss", "misses")}`,
    scoreHint:
      "By the table's column categoria. Of products that it was trained on the model knows the answer; the accuracy that counts is that on those it has never seen.",
    matrix: "Confusion matrix: the table's category in the rows, the model's in the columns",
    labelled: (label) => `in the table: ${label}`,

    unreadable: {
      tooLong: (line) => `Line ${line} has more fields than the header; put a text that has the separator in quotes.`,
      neverClosed: (line) => `In line ${line} a double quote opens a field and is never closed.`,
      columnTwice: (line, name) => `Line ${line} has the column ${name} twice; rename one.`,
      headerAgain: (line) => `Line ${line} is the header again; open one table at a time.`,
      linesAboveHeader: (line) => `The header is in line ${line}, with other lines above it; take those away.`,
      noText: (line, names) => `None of the columns of line ${line} (${names}) is a text; call one of them nome, descricao or texto.`,
      noRows: (line, names) => `Line ${line} is a header (${names}), and below it there is no text.`,
      encodedTwice: (line, letter) => `Line ${line} was encoded twice: it has ${letter} for one letter with an accent; save the file as UTF-8 again.`,
      encodings: (line) => `The file is in UTF-8, but for line ${line}; save it as UTF-8 again.`,
      encoding: (_, name) => `The file is in ${name}; save it as CSV in UTF-8.`,
      webPage: () => "This is a web page, not a table.",
      json: () => "This is JSON, not a table.",
      spreadsheet: () => "This is a spreadsheet (or a zip file); save it as CSV in UTF-8.",
    },

    unreachable: "The server does not answer. Trying again…",
    noVersion: "There is no model to answer yet. The page goes on by itself when there is one.",
    busy: "The server is busy. Trying again…",
    restarting: "The model is being started again. The answer comes in a moment.",
    refused: "The model did not accept this:",
    tooLarge: "That is too much text at once; send fewer lines at a time.",
    slow: "The model did not answer in time.",
    broken: "The server gave an error:",
    uncountable: "The model did not give one answer per product; this page can't show what it says.",
    again: "Try again",
    needsToken: "This server answers only to those who have a token.",
    giveToken: "Enter the token",
    tokenTitle: "This server asks for a token",
    tokenWrong: "The server did not accept this token.",
    token: "Token",
    tokenHint: "It is the value of HOTSERVE_TOKEN on the server, or that of a line of its --token-file, without the name. It is kept until this tab is closed.",
    cancel: "Cancel",
    continue: "Continue",

    model: "Model",
    version: (version) => `Version ${version}`,
    noVersionYet: "No version",
    state: {
      serving: "serving",
      starting: "starting",
      waiting: "waiting",
      restarting: "restarting",
      unreachable: "no contact",
    },
    accuracy: "Accuracy",
    f1: "Macro F1",
    holdoutHint: "on products the model has never seen",
    since: "Serving since",
    lane: "Fast lane",
    lanes: { open: "open", shut: "closed", compiling: "being prepared" },
    switches: "Last switches",
    first: (to) => `version ${to} began`,
    switched: (from, to) => `version ${from} → ${to}`,
    took: (seconds) => `in ${seconds} s`,
    coming: (version) => `Version ${version} is on its way`,
    steps: {
      fetch: "fetching its files",
      start: "starting its process",
      compare: "comparing its answers",
    },
    forSeconds: (seconds) => `for ${seconds} s`,
    lastTook: (seconds) => `The last switch took ${seconds} s.`,
    failed: (version) => `Version ${version} would not start; the present one goes on.`,
    registryAway: "MLflow does not answer; the present version goes on.",

    models: "Models",
    versionColumn: "Version",
    stateColumn: "State",
  },
};

const KEPT = "hotserve-language";

function first() {
  let kept = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch {
    // Storage is switched off: the browser's language it is.
  }
  if (kept !== null && Object.hasOwn(WORDS, kept)) return kept;
  return navigator.language.toLowerCase().startsWith("pt") ? "pt-BR" : "en";
}

let language = first();

/** `pt-BR` or `en`. */
export const currentLanguage = () => language;

/** Speak this language from now on, here and on the next visit. */
export function speak(chosen) {
  language = chosen;
  try {
    localStorage.setItem(KEPT, chosen);
  } catch {
    // Then it is forgotten with the page.
  }
}

/** A text, or what a function among the texts makes of the arguments. */
export function words(key, ...values) {
  const entry = WORDS[language][key];
  return typeof entry === "function" ? entry(...values) : entry;
}

/** The language as it is written where the user is: en-GB has other dates than en-US. */
const locale = () =>
  navigator.languages.find((each) => each.slice(0, 2) === language.slice(0, 2)) ?? language;

/** 0.5 → 50%. */
export const percent = (value) =>
  new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 1 }).format(value);

/** A number with as many decimals as asked for. */
export const number = (value, decimals = 0) =>
  new Intl.NumberFormat(locale(), { maximumFractionDigits: decimals }).format(value);

/** A number with its sign: +1.5. */
export const signed = (value) =>
  new Intl.NumberFormat(locale(), { signDisplay: "exceptZero", maximumFractionDigits: 2 }).format(
    value,
  );

/** `,` or `.`, between the whole part and the rest. */
export const decimalMark = () => number(0.5, 1)[1];

/** An ISO time as a short date and time. */
export const moment = (iso) =>
  new Intl.DateTimeFormat(locale(), { dateStyle: "short", timeStyle: "short" }).format(new Date(iso));

const STEPS = [
  ["second", 60],
  ["minute", 60],
  ["hour", 24],
  ["day", Infinity],
];

/** How long ago an ISO time was: "3 minutes ago". */
export function ago(iso) {
  let past = Math.max(0, (Date.now() - new Date(iso).getTime()) / 1000);
  const format = new Intl.RelativeTimeFormat(locale(), { numeric: "auto" });
  for (const [unit, most] of STEPS) {
    if (past < most) return format.format(-Math.floor(past), unit);
    past /= most;
  }
  return "";
}
