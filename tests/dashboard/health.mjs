// Health: one sentence, while things go wrong one after the other and are mended.
import { at, check, run } from './drive.mjs';

// While Redis is away the server still answers; what is asked of Redis alone may fail.
await run({ expected: [/status of 503/] }, async ({ page, open }) => {
  const heading = (name) => page.getByRole('heading', { level: 2, name });
  const card = (name) => page.getByRole('region', { name, exact: true });

  await open('#/health');
  await heading('All is well').waitFor();
  for (const name of ['Log', 'Write-ahead log', 'Commits', 'Redis', 'Streams']) await card(name).waitFor();
  await at('well');

  await page.getByRole('button', { name: 'audit', exact: true }).click();
  const panel = page.getByRole('complementary', { name: 'What audit has in hand' });
  await panel.getByText('delivered once').waitFor();
  check('it stands in the address', page.url().includes('group=audit'), page.url());
  await panel.getByRole('button', { name: 'show' }).click();
  await page.getByRole('complementary', { name: /^Event/ }).getByRole('heading', { name: 'note' }).waitFor();
  await page.keyboard.press('Escape');
  await panel.waitFor();
  await panel.getByRole('button', { name: 'Close' }).click();
  await at('in hand');

  await heading('1 dead letter waits').waitFor();
  await page.getByRole('link', { name: 'Look at them' }).waitFor();
  await at('a letter');

  await heading('Redis does not answer').waitFor();
  await card('Log').waitFor();
  await at('away');

  await heading('All is well').waitFor();
});
