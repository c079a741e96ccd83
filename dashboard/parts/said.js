// What is said in a payload of any shape: recorded runs keep it in fields of their own. Pure.

// The names that agent runtimes give to what a plan is to reach, what a tool was given and what went wrong,
// as the terminal looks for them.
export const GOAL = ['goal', 'prompt', 'instruction', 'description', 'task', 'input'];
export const ARGUMENTS = ['arguments', 'args', 'input', 'action'];
export const ERROR = ['error', 'reason', 'message', 'content', 'observation', 'result'];

// The first of the fields that is there.
export const firstOf = (fields, names) => {
  const found = names.find((name) => Object.hasOwn(fields, name) && fields[name] !== null && fields[name] !== undefined);
  return found && fields[found];
};

// Where they keep what an agent said or was told, the plainest first.
const SAID = ['text', 'thought', 'thinking', 'message', 'content', 'part', 'parts', 'response', 'observation'];
const SAID_DEPTH_MAX = 4;

// The first text that is said in a value, or ''.
export const saidIn = (value, depth = 0) => {
  if (typeof value === 'string') return value.trim();
  if (!value || typeof value !== 'object' || depth >= SAID_DEPTH_MAX) return '';
  const inner = Array.isArray(value) ? value : SAID.filter((name) => Object.hasOwn(value, name)).map((name) => value[name]);
  for (const one of inner) {
    const said = saidIn(one, depth + 1);
    if (said) return said;
  }
  return '';
};
