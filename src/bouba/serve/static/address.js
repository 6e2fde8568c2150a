// The state as an address and back: ?run=demo&q=red+heart&minus=blue&like=12&only.group=animals&row=7

/** What an address without anything shows. */
export const EMPTY = {
  run: null,
  tab: "search",
  q: "",
  parts: [],
  filters: [],
  where: "",
  view: null,
  k: 24,
  row: null,
  against: null,
  colour: null,
  lasso: null,
};

const PARTS = { plus: ["text", 1], minus: ["text", -1], like: ["row", 1], unlike: ["row", -1] };

export function write(state) {
  const query = new URLSearchParams();
  for (const name of ["run", "tab", "q", "where", "view", "k", "row", "against", "colour"])
    if (state[name] !== EMPTY[name] && state[name] !== null && state[name] !== "") query.set(name, state[name]);
  for (const part of state.parts) {
    const name = Object.keys(PARTS).find((each) => PARTS[each][0] === part.kind && PARTS[each][1] === part.sign);
    if (name) query.append(name, part.kind === "text" ? part.text : part.row);
  }
  for (const filter of state.filters) {
    for (const value of filter.any ?? []) query.append(`only.${filter.column}`, written(value));
    if (filter.low !== undefined && filter.low !== null) query.set(`from.${filter.column}`, filter.low);
    if (filter.high !== undefined && filter.high !== null) query.set(`to.${filter.column}`, filter.high);
  }
  if (state.lasso) query.set("lasso", state.lasso.map((at) => Math.round(at)).join("."));
  const text = query.toString();
  return text && `?${text}`;
}

export function read(address) {
  const state = { ...EMPTY, parts: [], filters: [] };
  for (const [name, value] of new URLSearchParams(address)) {
    const column = name.slice(name.indexOf(".") + 1);
    if (name in PARTS) state.parts.push(part(name, value));
    else if (name.startsWith("only.")) anyOf(state, column).any.push(parsed(value));
    else if (name.startsWith("from.")) rangeOf(state, column).low = Number(value);
    else if (name.startsWith("to.")) rangeOf(state, column).high = Number(value);
    else if (name === "lasso") state.lasso = value.split(".").map(Number);
    else if (name === "row" || name === "k") state[name] = whole(value, EMPTY[name]);
    else if (name in EMPTY) state[name] = value;
  }
  state.parts = state.parts.filter((each) => each.kind !== "row" || Number.isInteger(each.row));
  return state;
}

function whole(text, otherwise) {
  return /^\d+$/.test(text) ? Number(text) : otherwise;
}

function part(name, value) {
  const [kind, sign] = PARTS[name];
  return kind === "text" ? { kind, sign, text: value } : { kind, sign, row: whole(value, null) };
}

function anyOf(state, column) {
  let filter = state.filters.find((each) => each.column === column && each.any);
  if (!filter) state.filters.push((filter = { column, any: [] }));
  return filter;
}

function rangeOf(state, column) {
  let filter = state.filters.find((each) => each.column === column && !each.any);
  if (!filter) state.filters.push((filter = { column }));
  return filter;
}

/** A text as itself unless it reads as a number, true, false or null, which it then is not. */
function written(value) {
  return typeof value === "string" && parsed(value) === value ? value : JSON.stringify(value);
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? text : value;
  } catch {
    return text;
  }
}
