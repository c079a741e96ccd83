// A server that asks for a token: a wrong one, a right one, one that sees a tenant alone, and one that is
// taken back, and signing out.
import { at, check, live, run, same } from './drive.mjs';

await run({ expected: [/status of 40[13]/] }, async ({ page, context, given, open }) => {
  const token = page.getByLabel('Token');
  const tenant = page.getByLabel('Tenant');
  const signIn = page.getByRole('button', { name: 'Sign in' });
  const row = (text) => page.getByRole('option').filter({ hasText: text });
  await open();
  await page.getByRole('heading', { name: 'asks for a token' }).waitFor();
  await token.fill('no such token at all');
  await signIn.click();
  await page.getByRole('alert').filter({ hasText: 'knows no such token' }).waitFor();

  check('nobody is to sign out', (await page.getByRole('button', { name: 'Sign out' }).count()) === 0);
  await token.fill(given.acme);
  await signIn.click();
  await row('of acme').waitFor();

  // Another tenant's plans are not for this token.
  await open('#/plans?tenant=other');
  await page.getByRole('heading', { name: 'does not see this tenant' }).waitFor();
  await tenant.fill('acme');
  await signIn.click();
  await row('of acme').waitFor();
  await live(page);

  await at('signed in');
  await row('of acme').getByText('completed').waitFor();

  // The same after a reload: the browser keeps the session.
  await page.reload();
  await row('of acme').waitFor();
  await live(page);

  await at('reloaded');
  await page.getByRole('heading', { name: 'Your token no longer holds' }).waitFor();
  await token.fill(given.ci);
  await signIn.click();
  await row('of acme').waitFor();
  await live(page);
  await open('#/plans');
  await row('of default').waitFor();

  // There is room for it on a narrow screen.
  await page.setViewportSize({ width: 360, height: 720 });
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
  same('the width of the page', await page.evaluate(() => document.documentElement.scrollWidth), 360);

  // Signing out ends what this browser may see, in its other tabs too, and after a reload.
  const other = await context.newPage();
  await open('#/plans', other);
  await other.getByText('of default').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  for (const tab of [page, other]) await tab.getByRole('heading', { name: 'You have signed out' }).waitFor();
  check('nothing is left on the page', (await row('of').count()) === 0 && (await other.getByText('of default').count()) === 0);
  await page.reload();
  await token.waitFor();
});
