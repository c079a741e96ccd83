// Where a text has what was looked for. Pure: pieces come out, the page makes text nodes of them.

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

// What to look for: `text` as it is, or the words and "phrases" of a search in upper or lower case. Null
// where nothing was asked for.
export const patternOf = ({ text = '', q = '' }) => {
  if (text) return new RegExp(escaped(text), 'g');
  const terms = [...q.matchAll(/"([^"]*)"|(\S+)/g)].map(([, phrase, word]) => (phrase ?? word.replace(/[*"]+$/, '')).trim());
  const wanted = terms.filter(Boolean).sort((a, b) => b.length - a.length).map(escaped);
  return wanted.length ? new RegExp(wanted.join('|'), 'gi') : null;
};

// A text as [piece, isMatch] in its order.
export const pieces = (words, pattern) => {
  if (!pattern) return [[words, false]];
  const found = [];
  let at = 0;
  for (const { 0: match, index } of words.matchAll(pattern)) {
    if (index > at) found.push([words.slice(at, index), false]);
    if (match) found.push([match, true]);
    at = index + match.length;
  }
  if (at < words.length) found.push([words.slice(at), false]);
  return found;
};

// So much stands before a match that is shown away from its place, and so much from there on.
const BEFORE_CHARS = 20;
const SHOWN_CHARS = 120;

// The surroundings of the first match, or '' where there is none.
export const around = (words, pattern) => {
  const index = pattern ? words.search(pattern) : -1;
  if (index < 0) return '';
  const from = Math.max(0, index - BEFORE_CHARS);
  const to = from + SHOWN_CHARS;
  return `${from ? '…' : ''}${words.slice(from, to)}${to < words.length ? '…' : ''}`;
};
