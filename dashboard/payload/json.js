// JSON as it was written: finds where the parts of a text begin and end, and reads none but those asked
// for. Numbers keep all their digits, fields their order, and a payload of megabytes is never built as
// objects. Pure; what is no JSON is borne, and ends with the text.

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

const isSpace = (code) => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
const pastSpace = (text, at) => {
  while (isSpace(text.charCodeAt(at))) at += 1;
  return at;
};

// Behind the string that begins at `at`.
const endOfString = (text, at) => {
  for (let end = text.indexOf('"', at + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = end;
    while (text.charCodeAt(escapes - 1) === BACKSLASH) escapes -= 1;
    if ((end - escapes) % 2 === 0) return end + 1;
  }
  return text.length;
};

const endOfContainer = (text, at) => {
  let depth = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
      continue;
    }
    if (code === OPEN_LIST || code === OPEN_OBJECT) depth += 1;
    else if (code === CLOSE_LIST || code === CLOSE_OBJECT) depth -= 1;
    at += 1;
    if (!depth) return at;
  }
  return text.length;
};

// Behind the value that begins at `at`.
export const endOf = (text, at) => {
  const code = text.charCodeAt(at);
  if (code === QUOTE) return endOfString(text, at);
  if (code === OPEN_LIST || code === OPEN_OBJECT) return endOfContainer(text, at);
  let end = at;
  while (end < text.length) {
    const next = text.charCodeAt(end);
    if (next === COMMA || next === CLOSE_LIST || next === CLOSE_OBJECT || isSpace(next)) break;
    end += 1;
  }
  return end;
};

// What kind of value begins at `at`: 'object', 'array', 'string', 'boolean', 'null' or 'number'.
export const kindAt = (text, at) => {
  const kinds = { '{': 'object', '[': 'array', '"': 'string', t: 'boolean', f: 'boolean', n: 'null' };
  return kinds[text[at]] ?? 'number';
};

// The members of the object or array that begins at `at`, three numbers each: where the name begins (-1
// in an array), where the value begins, and where it ends.
export const membersOf = (text, at) => {
  const isObject = text.charCodeAt(at) === OPEN_OBJECT;
  const close = isObject ? CLOSE_OBJECT : CLOSE_LIST;
  const members = [];
  at = pastSpace(text, at + 1);
  while (at < text.length && text.charCodeAt(at) !== close) {
    const name = isObject ? at : -1;
    if (isObject) {
      at = pastSpace(text, endOf(text, at));
      if (text.charCodeAt(at) === COLON) at = pastSpace(text, at + 1);
    }
    const end = endOf(text, at);
    members.push(name, at, end);
    at = pastSpace(text, end);
    if (text.charCodeAt(at) === COMMA) at = pastSpace(text, at + 1);
    else if (end === at && text.charCodeAt(at) !== close) break;
  }
  return members;
};

// The value between two places, as JavaScript has it; undefined where it is no JSON.
export const valueOf = (text, start, end) => {
  try {
    return JSON.parse(text.slice(start, end));
  } catch {
    return undefined;
  }
};

// The fields of an object: {name: [start, end]}; of a name that stands twice, the last.
export const fieldsOf = (text, at = pastSpace(text, 0)) => {
  const fields = new Map();
  if (kindAt(text, at) !== 'object') return fields;
  const members = membersOf(text, at);
  for (let i = 0; i < members.length; i += 3) {
    fields.set(valueOf(text, members[i], endOf(text, members[i])), [members[i + 1], members[i + 2]]);
  }
  return fields;
};
