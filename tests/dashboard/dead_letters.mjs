// What a group gave up: seen, understood, and replayed.
import { at, check, run } from './drive.mjs';

// A letter that is gone is answered so.
await run({ expected: [/status of 404/] }, async ({ page, open }) => {
  await open('#/health');
  await page.getByText('writers').first().waitFor();
  await page.getByRole('link', { name: 'Dead letters' }).click();
  const letter = page.getByRole('option').filter({ hasText: 'no such column: <script>' });
  await letter.first().waitFor();
  check('both are there', (await letter.count()) === 2);

  await letter.first().click();
  const panel = page.getByRole('complementary').filter({ hasText: 'Attempts' });
  await panel.getByRole('treeitem').filter({ hasText: 'at' }).first().waitFor();
  await panel.getByRole('button', { name: 'Replay' }).click();
  const dialog = page.getByRole('dialog', { name: 'Replay 1 letter?' });
  await dialog.getByText('writers').waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  check('nothing was done yet', (await letter.count()) === 2);

  await at('seen');
  await panel.getByRole('button', { name: 'Replay' }).click();
  await dialog.getByRole('button', { name: 'Replay' }).click();
  await page.getByRole('status').filter({ hasText: '1 letter was put before its group again' }).waitFor();
  await panel.getByText('no longer a dead letter').waitFor();
  await letter.nth(1).waitFor({ state: 'detached' });

  await at('replayed');
  check('the other stays', (await letter.count()) === 1);
  await page.getByRole('checkbox', { name: 'choose all' }).check();
  await page.getByRole('button', { name: 'Replay 1', exact: true }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Replay' }).click();
  await page.getByRole('heading', { name: 'No dead letters' }).waitFor();
});
