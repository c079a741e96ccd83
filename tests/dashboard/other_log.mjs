// A server comes back with another store under the same address: nothing of the one before stays on the page.
import { at, check, live, run } from './drive.mjs';

await run({ expected: [/ERR_CONNECTION_REFUSED/, /ERR_INCOMPLETE_CHUNKED_ENCODING/, /ERR_CONNECTION_RESET/] }, async ({ page, open }) => {
  const row = (text) => page.getByRole('option').filter({ hasText: text });
  await open();
  await row('of the first log').waitFor();
  await live(page);

  await at('open');
  await page.getByText('reconnecting').waitFor();

  await at('cut');
  await row('of the second log').first().waitFor();
  await page.getByRole('alert').filter({ hasText: 'another log' }).waitFor();
  check('no plan of the first log stays', (await row('of the first log').count()) === 0);
  await live(page);

  await at('again');
  await row('new there').waitFor();
});
