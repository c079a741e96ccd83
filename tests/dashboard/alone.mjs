// The worker of all tabs ends with the tab that it lived in: a tab that was left alone starts another.
import { at, live, run } from './drive.mjs';

await run({}, async ({ page, context, open }) => {
  await page.clock.install();
  await open();
  await live(page);
  const session = await context.browser().newBrowserCDPSession();
  const workers = async () => (await session.send('Target.getTargets', { filter: [{}] })).targetInfos.filter(({ type }) => type === 'shared_worker');
  const [worker] = await workers();
  await session.send('Target.closeTarget', { targetId: worker.targetId });

  await at('alone');
  await page.clock.runFor(200_000);
  await page.getByRole('option').filter({ hasText: 'nobody told of it' }).waitFor();
  await live(page);

  await at('again');
  await page.getByRole('option').filter({ hasText: 'told of again' }).waitFor();
});
