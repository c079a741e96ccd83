// The time as the server has it: what runs began by its clock, and the browser's may be wrong.

// An answer tells whole seconds and takes a while: what is nearer is taken for none.
const NOTED_MS = 3_000;

// How far the clock of the server is ahead, by the date of an answer that came at `now`; null where it
// tells none.
export const aheadOf = (date, now) => {
  const told = Date.parse(date ?? '');
  if (Number.isNaN(told)) return null;
  const ahead = told - now;
  return Math.abs(ahead) < NOTED_MS ? 0 : ahead;
};

let known = 0;
export const learn = (date, now = Date.now()) => {
  known = aheadOf(date, now) ?? known;
};
export const serverTime = (now = Date.now()) => now + known;
