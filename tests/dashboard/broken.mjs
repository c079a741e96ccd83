// A view that cannot be drawn says so in its place; the others are there.
import { run } from './drive.mjs';

await run({ expected: [/the view is broken/] }, async ({ page, context, open }) => {
  const body = "export const Plans = () => { throw new Error('the view is broken'); };";
  await context.route('**/assets/plans/list.js', (route) => route.fulfill({ contentType: 'text/javascript', body }));
  await open('#/plans');
  await page.getByRole('alert').filter({ hasText: 'the view is broken' }).waitFor();
  await page.getByRole('link', { name: 'Events' }).click();
  await page.getByText('note-1').waitFor();
  await page.getByRole('link', { name: 'Plans' }).click();
  await page.getByRole('alert').filter({ hasText: 'the view is broken' }).waitFor();
});
