// What belongs to an event leads to it: the completion of a call, which may be still to come, and its cause.
import { at, live, run, until } from './drive.mjs';

await run({}, async ({ page, given, open }) => {
  const panel = page.getByRole('complementary');
  const link = (seq) => panel.getByRole('link', { name: `#${seq}`, exact: true });
  const isOpen = (seq) => until(`#${seq} is open`, async () => page.url().endsWith(`event=${seq}`));

  await open('#/events');
  await live(page);
  await page.getByRole('option').filter({ hasText: 'ToolCalled' }).click();
  await panel.getByText('not yet').waitFor();
  await at('called');
  await link(given.called + 1).click();
  await panel.getByRole('heading', { name: 'ToolCompleted' }).waitFor();
  await link(given.called).click();
  await isOpen(given.called);

  await page.getByRole('option').filter({ hasText: 'effect' }).click();
  await panel.getByRole('link', { name: given.cause }).click();
  // An event that is named by its id is chosen in the list too.
  await isOpen(given.causeSeq);
  await page.locator('[role=option][aria-selected=true]').filter({ hasText: 'the cause' }).waitFor();
});
