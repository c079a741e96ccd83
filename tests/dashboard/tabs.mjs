// Twelve tabs of one browser, all at work.
import { at, live, run } from './drive.mjs';

await run({}, async ({ page, context, open }) => {
  await open();
  const tabs = [page];
  while (tabs.length < 12) {
    const tab = await context.newPage();
    await open('', tab);
    tabs.push(tab);
  }
  await Promise.all(tabs.map(live));

  await at('open');
  const row = (tab) => tab.getByRole('option').filter({ hasText: 'seen by all' });
  await Promise.all(tabs.map((tab) => row(tab).waitFor()));

  await at('seen');
  // The others go on when those that were there first are gone.
  await Promise.all(tabs.splice(0, 11).map((tab) => tab.close()));

  await at('one left');
  await row(tabs[0]).getByText('completed').waitFor();
});
