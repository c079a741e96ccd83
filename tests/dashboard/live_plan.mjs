// A plan that starts, works and ends while the page is open.
import { at, check, isSamePage, live, run } from './drive.mjs';

await run({}, async ({ page, open }) => {
  await open();
  await page.getByRole('heading', { name: 'No plan yet' }).waitFor();
  await page.getByText('planbus demo').first().waitFor();
  await live(page);

  await at('empty');
  const row = page.getByRole('option').filter({ hasText: 'write the notes' });
  await row.waitFor();
  await row.getByText('running').waitFor();

  await at('started');
  await row.getByText('2 tool calls').waitFor();
  await row.getByText('1 failed').waitFor();

  await at('worked');
  await row.getByText('completed').waitFor();
  check('the page was never loaded again', await isSamePage(page));
});
