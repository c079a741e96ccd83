// The log of all plans: what narrows it stands in the URL and holds for what comes, search finds whole
// words, and what the server does not take is told at its field.
import { at, check, live, run, same, until } from './drive.mjs';

await run({ expected: [/status of 400/] }, async ({ page, open }) => {
  const rows = page.getByRole('listbox', { name: 'Events' }).getByRole('option');
  const row = (text) => rows.filter({ hasText: text });
  const field = (name) => page.getByRole('searchbox', { name });
  const params = () => new URLSearchParams(page.url().split('?')[1] ?? '');

  await open('#/events');
  await live(page);
  await row('noise 1').first().waitFor();
  await field('Without this text').fill('noise');
  await row('noise 1').first().waitFor({ state: 'detached' });
  same('the URL', params().get('exclude'), 'noise');
  await row('signal 1').waitFor();

  // Both come; one of them is left out.
  await at('filtered');
  await row('signal 2').waitFor();
  check('what is left out stays out', (await row('noise').count()) === 0);

  await page.reload();
  await row('signal 2').waitFor();
  same('the field after a reload', await field('Without this text').inputValue(), 'noise');
  await page.getByRole('button', { name: 'Remove without noise' }).click();
  await row('noise 2').waitFor();
  same('the URL', params().get('exclude'), null);

  await page.getByRole('button', { name: /^Types/ }).click();
  await page.getByRole('checkbox', { name: 'weather.*' }).check();
  await until('only the family is left', async () => (await rows.allInnerTexts()).every((text) => text.includes('weather.')));
  check('there is something of it', (await rows.count()) === 2);
  await page.keyboard.press('Escape');
  check('the menu is closed', (await page.getByRole('checkbox', { name: 'weather.*' }).count()) === 0);
  await page.getByRole('button', { name: 'Clear all' }).click();

  await page.keyboard.press('/');
  await page.keyboard.type('lighthouse');
  await until('only that is found', async () => (await rows.count()) === 1);
  await row('lighthouse').waitFor();
  same('what is marked', await page.locator('mark').allInnerTexts(), ['lighthouse']);
  check('what search does not take is shut', await field('With this text').isDisabled());
  await page.getByRole('button', { name: 'Clear all' }).click();

  await page.getByRole('button', { name: /^Types/ }).click();
  await page.getByRole('textbox', { name: 'Another type or family' }).fill('work*');
  await page.getByRole('button', { name: 'Add' }).click();
  await page.getByText('got "work*"').waitFor();
  await page.getByRole('button', { name: 'Remove type work*' }).click();

  await page.getByRole('button', { name: 'Go to' }).click();
  await page.getByRole('textbox', { name: 'Seq or time' }).fill('2');
  await page.keyboard.press('Enter');
  await page.getByText('You are reading older events').waitFor();
  await until('the event before the place stands on top', async () => (await rows.first().innerText()).split(/\s/)[0] === '2');
  await at('jumped');
  await page.getByRole('button', { name: 'Back to now' }).click();
  await row('signal 3').waitFor();
});
