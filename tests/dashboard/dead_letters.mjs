// Dead letters: they come by themselves, are found, read, chosen by keys and replayed; what is refused is
// told.
import { at, check, run, same, until } from './drive.mjs';

await run({}, async ({ page, open }) => {
  const list = page.getByRole('listbox', { name: 'Dead letters' });
  const rows = list.getByRole('option');
  const panel = page.getByRole('complementary', { name: /^Dead letter/ });
  const dialog = page.getByRole('dialog');
  const texts = () => rows.allInnerTexts();

  await open('#/dead-letters');
  await page.getByRole('heading', { name: 'No dead letters' }).waitFor();
  await at('no stream yet');

  // Without a reload.
  await rows.nth(2).waitFor();
  same('the newest comes first', (await texts()).map((text) => text.includes('nobody there')), [true, false, false]);
  await page.getByRole('searchbox', { name: 'Text of the error' }).fill('card declined');
  await until('only those are left', async () => (await rows.count()) === 2 || texts());
  check('the filter stands in the address', page.url().includes('error=card+declined'), page.url());
  await page.reload();
  await until('also after a reload', async () => (await rows.count()) === 2 || texts());

  // One of them, whole, by keys alone.
  await list.focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('Enter');
  await panel.getByText('<img src=x onerror=alert(1)><script>alert(1)</script>').waitFor();
  await panel.getByText('failed every attempt').waitFor();
  await panel.getByText('Fields of the entry').waitFor();
  await panel.getByRole('tree', { name: 'Payload' }).waitFor();
  check('the panel has the focus', await panel.evaluate((node) => node.contains(document.activeElement)));
  await page.keyboard.press('Escape');
  await until('the panel is closed', async () => (await panel.count()) === 0);
  check('the list has the focus again', await list.evaluate((node) => node === document.activeElement));
  await at('understood');

  // Chosen by the space bar; asked before it is done.
  await page.keyboard.press('Home');
  await page.keyboard.press('Space');
  same('it is chosen', await rows.first().getAttribute('aria-checked'), 'true');
  await page.getByRole('button', { name: 'Replay 1' }).click();
  await dialog.getByText('1 letter put again before the group billing alone').waitFor();
  await page.keyboard.press('Escape');
  await until('the dialog is closed', async () => (await dialog.count()) === 0);
  await page.getByRole('button', { name: 'Replay 1' }).click();
  await dialog.getByRole('button', { name: 'Replay' }).click();
  await page.getByText('1 letter was put before its group again').waitFor();
  await until('it is no longer a dead letter', async () => (await rows.count()) === 1 || texts());
  await at('replayed');

  // What cannot go back stays, with the reason.
  await page.getByRole('searchbox', { name: 'Text of the error' }).fill('nobody');
  await rows.filter({ hasText: 'nobody there' }).waitFor();
  await until('no other is left', async () => (await rows.count()) === 1 || texts());
  await rows.first().click();
  await panel.getByRole('button', { name: 'Replay' }).click();
  await dialog.getByRole('button', { name: 'Replay' }).click();
  await page.getByText('1 stayed here').waitFor();
  await page.getByText('99999999999999-1', { exact: true }).first().waitFor();
  await at('refused');
});
