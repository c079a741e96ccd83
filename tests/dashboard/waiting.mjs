// A plan whose page is open before it begins.
import { at, check, isSamePage, live, run } from './drive.mjs';

await run({ expected: [/status of 404/] }, async ({ page, open }) => {
  await open('#/plans/survey%2F1');
  await live(page);
  await page.getByRole('heading', { name: 'This plan has not begun' }).waitFor();

  await at('open');
  await page.getByRole('heading', { name: 'look around' }).waitFor();
  await page.getByRole('treeitem').filter({ hasText: 'read_file' }).waitFor();

  await at('begun');
  await page.getByText('completed').first().waitFor();
  check('the page was never loaded again', await isSamePage(page));
});
