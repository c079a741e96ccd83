// Health for a token that sees one tenant: its rate, and nothing of the server.
import { at, check, live, run, until } from './drive.mjs';

await run({ expected: [/status of 40[13]/] }, async ({ page, given, open }) => {
  await open('#/health?tenant=acme');
  await page.getByLabel('Token').fill(given.acme);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await live(page);
  await page.getByRole('heading', { name: 'Your token sees some tenants only' }).waitFor();
  check('nothing of the log is told', (await page.getByRole('region', { name: 'Log' }).count()) === 0);
  await at('signed in');
  const other = page.getByRole('figure', { name: 'Events a second' }).getByRole('term').filter({ hasText: 'other' });
  await until('its events are counted', async () => {
    const told = await other.locator('xpath=following-sibling::dd').innerText();
    return Number(told) > 0 || told;
  });
  await open('#/dead-letters?tenant=acme');
  await page.getByRole('heading', { name: 'Your token sees some tenants only' }).waitFor();
});
