// Drives the page in a real browser for one test, together with the test's Rust side: a line of JSON on
// stdout says how far the script is, a line on stdin says that it may go on. A script never decides what
// is published, and the Rust side never what is on the screen.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const { chromium } = createRequire(import.meta.url)('playwright-core');

// How long what must come may take. A test that fails waits this long; no other does.
export const PATIENCE_MS = 20_000;

// How often a condition is looked at: in between the page has the processor.
const LOOK_MS = 10;

const given = JSON.parse(process.argv[2]);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// Says how far the script is, with what the Rust side is to know, and waits until it says to go on.
export const at = async (name, told = {}) => {
  process.stdout.write(`${JSON.stringify({ at: name, ...told })}\n`);
  const { value, done } = await lines.next();
  if (done) throw new Error(`the test ended while the page was at ${name}`);
  return JSON.parse(value);
};

// Looks at a condition until it holds; `what` is told where it never does.
export const until = async (what, holds) => {
  const end = Date.now() + PATIENCE_MS;
  let last;
  for (;;) {
    last = await holds();
    if (last === true) return;
    if (Date.now() > end) throw new Error(`not so in time: ${what}; last seen: ${JSON.stringify(last)}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
};

export const check = (what, holds, seen = '') => {
  if (!holds) throw new Error(`${what} ${seen === '' ? '' : JSON.stringify(seen)}`);
};

export const same = (what, seen, wanted) =>
  check(`${what}: wanted ${JSON.stringify(wanted)}, seen`, JSON.stringify(seen) === JSON.stringify(wanted), seen);

// A browser with everything that must not happen noted: errors on the console, a policy that was broken
// (browsers tell of it there), exceptions, dialogs, and requests to anywhere but the server.
const launch = async (url, { expected = [], ...options }) => {
  const browser = await chromium.launch({
    executablePath: given.chromium,
    // Its own sandbox does not work for root.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  });
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    locale: 'en-US',
    timezoneId: 'UTC',
    reducedMotion: 'reduce',
    ...options,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const problems = [];
  const note = (what) => expected.some((pattern) => pattern.test(what)) || problems.push(what);
  context.on('console', (message) => ['error', 'warning'].includes(message.type()) && note(`console: ${message.text()}`));
  context.on('weberror', (error) => note(`exception: ${error.error().stack ?? error.error()}`));
  context.on('dialog', (dialog) => {
    note(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  context.on('request', (request) => {
    const target = new URL(request.url());
    if (target.protocol !== 'data:' && target.origin !== new URL(url).origin) note(`request: ${target}`);
  });
  return { browser, context, problems };
};

// Runs a script: `script({page, context, given, open})`, where `open(hash)` goes to a view. Options are
// those of a browser's context, and `expected`: patterns of complaints that belong to the test.
export const run = async (options, script) => {
  const { browser, context, problems } = await launch(given.url, options);
  const page = await context.newPage();
  const open = async (hash = '', where = page) => {
    await where.goto(`${given.url}/${hash}`);
    await where.getByRole('banner').waitFor();
    // A page that is loaded again has lost this.
    await where.evaluate(() => { globalThis.isFirstLoad = true; });
  };
  try {
    await script({ page, context, given, open });
    check('nothing went wrong beside:', problems.length === 0, problems);
  } catch (error) {
    const shown = await page.locator('body').innerText().catch(() => 'nothing');
    process.stderr.write(`${error.stack}\n${problems.join('\n')}\n--- on the page (${page.url()}):\n${shown}\n`);
    process.exitCode = 1;
  } finally {
    await browser.close();
    process.exit();
  }
};

// Whether it is the page that was opened, and not one that was loaded since.
export const isSamePage = (page) => page.evaluate(() => globalThis.isFirstLoad === true);

// Waits until the page follows the log.
export const live = (page) => page.getByRole('banner').getByText('live', { exact: true }).waitFor();
