// Reads JSON without changing its numbers: one that a double cannot hold stays the text that it was. Pure.

// Only a text with one of these can have such a number: all others are read without looking at each value.
const SUSPECT = /\d{16}|\d[eE]/;

const kept = (_, value, context) => {
  const isChanged = typeof value === 'number' && (Number.isInteger(value) ? !Number.isSafeInteger(value) : !Number.isFinite(value));
  // Browsers that do not tell how a value was written show it as they can.
  return isChanged ? context?.source ?? value : value;
};

export const parseExact = (text) => (SUSPECT.test(text) ? JSON.parse(text, kept) : JSON.parse(text));
