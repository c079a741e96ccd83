// A dead letter as the server sent it: its payload is not read, so that no number in it changes. Pure.
import { fieldsOf, valueOf } from '../payload/json.js';

// The letter's fields, with `text` and, where it is an event, the `payload`'s place in that.
export const wholeOf = (text) => {
  const letter = {};
  let payload = null;
  for (const [name, [start, end]] of fieldsOf(text)) {
    if (name === 'event') payload = fieldsOf(text, start).get('payload') ?? null;
    else letter[name] = valueOf(text, start, end);
  }
  return { ...letter, text, payload };
};
