// A server without a search index says so, and what can be done instead.
import { run, same } from './drive.mjs';

await run({ expected: [/status of 501/] }, async ({ page, open }) => {
  await open('#/events?q=light');
  await page.getByText('This server has no search index').waitFor();
  await page.getByRole('button', { name: 'Look for this text' }).click();
  await page.getByRole('option').filter({ hasText: 'a lighthouse' }).waitFor();
  same('what is marked', await page.locator('mark').allInnerTexts(), ['light']);
});
