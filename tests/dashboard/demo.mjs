// The page that `planbus demo --serve` tells to open: the survey waits for it, and is seen from its first
// event to its end.
import { check, isSamePage, run } from './drive.mjs';

await run({ expected: [/status of 404/] }, async ({ page, given, open }) => {
  await open(given.hash);
  await page.getByRole('heading', { name: /^survey /, level: 1 }).waitFor();
  await page.getByRole('treeitem').filter({ hasText: 'list_dir' }).first().waitFor();
  await page.getByRole('main').getByText('completed').first().waitFor();
  await page.keyboard.press('l');
  const rows = page.getByRole('option');
  await rows.filter({ hasText: 'PlanCompleted' }).last().waitFor();
  check('it is there from its first event', /^\D*1\D/.test(await rows.first().innerText()), await rows.first().innerText());
  check('the page was never loaded again', await isSamePage(page));
});
