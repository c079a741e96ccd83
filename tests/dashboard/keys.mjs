// The page by keys alone: what has the focus is seen, and nothing is out of reach.
import { check, run, same, until } from './drive.mjs';

const focused = (page) => page.evaluate(() => {
  const node = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(node);
  const box = node.getBoundingClientRect();
  return {
    name: node.getAttribute('aria-label') ?? (node.labels?.[0] ?? node).innerText.trim(),
    isSeen: outlineStyle !== 'none' && parseFloat(outlineWidth) > 0 && box.width > 0 && box.right > 0,
  };
});

await run({}, async ({ page, open }) => {
  const press = async (...keys) => { for (const key of keys) await page.keyboard.press(key); };
  const isAt = (hash) => until(`the page is at ${hash}`, () => page.evaluate(() => location.hash).then((seen) => seen === hash || seen));
  await open('#/plans');
  await page.getByRole('option').first().waitFor();

  // From the beginning to the list: each stop has a name and a ring, the first leads past the rest.
  await press('Tab');
  same('the first stop', (await focused(page)).name, 'Skip to the content');
  const stops = [];
  do {
    stops.push(await focused(page));
    await press('Tab');
  } while ((await focused(page)).name !== 'Plans' || (await page.evaluate(() => document.activeElement.role)) !== 'listbox');
  stops.push(await focused(page));
  check('each stop has a name and a ring', stops.every(({ name, isSeen }) => name && isSeen), stops);
  check('there is no trap', stops.length < 30, stops);

  // In the list, to its ends and into a plan.
  const active = () => page.evaluate(() => document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))?.getAttribute('aria-posinset'));
  await press('ArrowDown', 'ArrowDown', 'ArrowUp');
  same('one down', await active(), '1');
  await press('End');
  const last = await page.getByRole('option').last().getAttribute('aria-setsize');
  same('the end', await active(), last);
  await press('Home');
  same('the begin', await active(), '1');

  // Keys of the page, and those that are text while one types.
  await press('/');
  await press(...'sea');
  await until('the list is narrowed', async () => (await page.getByRole('option').count()) === 1);
  check('what is typed is text', (await page.evaluate(() => location.hash)).includes('text=sea'));
  await press('Escape', '2');
  await until('the second view', () => page.evaluate(() => location.hash.startsWith('#/events')));
  await press('1');
  await isAt('#/plans');

  // Into a plan, through its views, to an event and back: the focus is where one was.
  const at = async (what, role, name) => until(`${what} has the focus`, async () => {
    const { role: is, label } = await page.evaluate(() => ({ role: document.activeElement.getAttribute('role'), label: document.activeElement.getAttribute('aria-label') }));
    return (is === role && (label ?? '').startsWith(name)) || { is, label };
  });
  await page.getByRole('listbox', { name: 'Plans' }).focus();
  await press('Home', 'ArrowDown', 'Enter');
  await page.getByRole('heading', { name: 'book a trip', level: 1 }).waitFor();
  for (const [key, name] of [['i', 'Timeline'], ['l', 'Log'], ['t', 'Tree']]) {
    await press(key);
    await page.getByRole('tab', { name, selected: true }).waitFor();
  }
  await page.getByRole('tab', { name: 'Tree' }).focus();
  await press('ArrowRight');
  await page.getByRole('tab', { name: 'Timeline', selected: true }).waitFor();
  await press('l');
  await page.getByRole('listbox', { name: 'Events of the plan' }).focus();
  await press('ArrowDown', 'ArrowDown', 'Enter');
  const panel = page.getByRole('complementary');
  await panel.getByRole('button', { name: 'Copy event' }).waitFor();
  await panel.getByRole('tree', { name: 'Payload' }).focus();
  await press('ArrowDown', 'ArrowLeft', 'ArrowRight', 'Escape');
  await panel.waitFor({ state: 'detached' });
  await at('the list again', 'listbox', 'Events of the plan');
  // Keys that come faster than the page is drawn.
  await page.evaluate(() => {
    for (const key of ['Enter', 'Escape']) document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
  });
  check('what was opened is closed', !(await page.evaluate(() => location.hash)).includes('event='), await page.evaluate(() => location.hash));
  await panel.waitFor({ state: 'detached' });

  // Help: it has the focus, keeps it, and gives it back.
  await page.getByRole('button', { name: 'Keys' }).focus();
  await press('Enter');
  const help = page.getByRole('dialog', { name: 'Keys' });
  const isInHelp = () => help.evaluate((dialog) => dialog.contains(document.activeElement) || document.activeElement.outerHTML.slice(0, 200));
  await until('help has the focus', isInHelp);
  await press('Escape');
  await help.waitFor({ state: 'detached' });
  same('and gives it back', (await focused(page)).name.includes('Keys'), true);

  // A menu has it too, and gives it back.
  await press('2');
  await page.getByRole('button', { name: 'Go to' }).focus();
  await press('Enter');
  await until('its field has the focus', () => page.evaluate(() => document.activeElement.matches('input[name=place]')));
  await press(...'3', 'Enter');
  await until('the list begins there', () => page.evaluate(() => location.hash.includes('before=4')));
});
