// The page is told when retention took what it had not read, and shows what the log still holds.
import { at, live, run } from './drive.mjs';

await run({ expected: [/ERR_CONNECTION_REFUSED/] }, async ({ page, open }) => {
  await open();
  await page.getByRole('option').filter({ hasText: 'an old plan' }).waitFor();
  await live(page);

  await at('open');
  await page.getByText('reconnecting').waitFor();

  await at('cut');
  const banner = page.getByRole('alert').filter({ hasText: 'were removed before this page read them' });
  await banner.waitFor();
  await page.getByRole('option').filter({ hasText: 'a new plan' }).waitFor();
  await live(page);
  await banner.getByRole('button').click();
  await banner.waitFor({ state: 'detached' });
});
