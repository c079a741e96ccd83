// One event beside the list: its payload as it was published, to look at and to take along.
import { check, run, same, until } from './drive.mjs';

const options = { permissions: ['clipboard-read', 'clipboard-write'], expected: [/status of 404/] };
await run(options, async ({ page, given, open }) => {
  const panel = page.getByRole('complementary');
  const tree = panel.getByRole('tree', { name: 'Payload' });
  const copied = async (name) => {
    const button = panel.getByRole('button', { name });
    await button.click();
    await button.getByText('copied').waitFor();
    return page.evaluate(() => navigator.clipboard.readText());
  };

  await open('#/events');
  const list = page.getByRole('listbox', { name: 'Events' });
  const row = list.getByRole('option').filter({ hasText: 'exact' });
  await row.click();
  await tree.waitFor();
  for (const words of ['9007199254740993', '1.50', '1e400', '"<script>alert(1)</script>"']) {
    await tree.getByText(words, { exact: true }).waitFor();
  }
  const fields = await tree.getByRole('treeitem', { level: 2 }).allInnerTexts();
  same('the order of the fields', fields.map((text) => /\w+/.exec(text)[0]), ['id', '2', '1', 'price', 'large', 'text']);
  same('the payload', await copied('Copy payload'), given.payload);
  check('the event holds it as it is', (await copied('Copy event')).includes(given.payload));
  const command = await copied('Copy as curl');
  check('the command names the event', /^curl -s '.*\/events\/[0-9A-Z]{26}'$/.test(command), command);
  await panel.getByRole('button', { name: 'Raw' }).click();
  same('the raw payload', await panel.locator('pre').innerText(), given.payload);

  await panel.getByRole('button', { name: 'Tree' }).click();

  // Where the page may not use the clipboard, the text is there to be copied; Escape closes that alone.
  await page.evaluate(() => {
    Object.defineProperty(navigator, 'clipboard', { value: undefined });
    document.execCommand = () => false;
  });
  await panel.getByRole('button', { name: 'Copy payload' }).click();
  const dialog = page.getByRole('dialog', { name: 'Copy' });
  await dialog.waitFor();
  same('what is selected', await page.evaluate(() => getSelection().toString()), given.payload);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  check('the panel is still there', await panel.isVisible());

  // Keys: along the list, into the tree, and back to where one was.
  await page.keyboard.press('[');
  await panel.getByText('#2', { exact: false }).first().waitFor();
  await tree.focus();
  await page.keyboard.press('End');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Escape');
  await until('the panel is gone', async () => (await panel.count()) === 0);
  check('the focus is back', await list.evaluate((box) => box === document.activeElement));

  // Megabytes: nothing of them is on the page but what is open.
  await page.evaluate((seq) => { location.hash = `#/events?event=${seq}`; }, given.large);
  await tree.getByText('300,000 items').click();
  await tree.getByText('290,000 … 299,999').click();
  await tree.getByText('299,900 … 299,999').click();
  await tree.getByText('299999', { exact: true }).first().waitFor();
  check('few elements', (await page.evaluate(() => document.querySelectorAll('*').length)) < 3_000);

  await page.evaluate(() => { location.hash = '#/events?event=999999'; });
  await page.getByText('The log has no such event').waitFor();
});
