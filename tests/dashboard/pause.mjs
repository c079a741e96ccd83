// What comes while the page is paused is counted and held, and shown when it goes on.
import { at, check, live, run } from './drive.mjs';

await run({}, async ({ page, open }) => {
  await open();
  await live(page);
  await page.keyboard.press('p');
  const held = page.getByRole('button', { name: 'new', pressed: true });
  await held.filter({ hasText: '0 new' }).waitFor();

  await at('paused');
  await held.filter({ hasText: '3 new' }).waitFor();
  check('nothing that came is shown', (await page.getByRole('option').count()) === 0);

  await at('held');
  await held.click();
  const row = page.getByRole('option').filter({ hasText: 'held back' });
  await row.getByText('1 tool call').waitFor();
  await page.getByRole('button', { name: 'Pause', pressed: false }).waitFor();

  await at('shown');
  await row.getByText('completed').waitFor();
});
