// The browser's clock is an hour ahead of the server's: what runs has not run for an hour.
import { at, live, run } from './drive.mjs';

await run({}, async ({ page, open }) => {
  await page.clock.install({ time: Date.now() + 3_600_000 });
  await open();
  await live(page);

  await at('open');
  const row = page.getByRole('option').filter({ hasText: 'begun just now' });
  await row.getByText(/^\d+\.\d s$/).waitFor();
  await row.click();
  await page.locator('.standing').filter({ hasText: /running \d+\.\d s/ }).waitFor();
});
