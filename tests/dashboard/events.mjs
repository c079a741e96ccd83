// The log of all plans: two texts that narrow it together, what happens now, and one event of which the list
// has a part, taken along whole.
import { at, check, isSamePage, live, run, until } from './drive.mjs';

await run({ permissions: ['clipboard-read', 'clipboard-write'] }, async ({ page, open }) => {
  const press = async (...keys) => { for (const key of keys) await page.keyboard.press(key); };
  const hash = () => page.evaluate(() => location.hash);
  const rows = () => page.getByRole('option').evaluateAll((all) => all.map((row) => /[a-z]+-\d+/.exec(row.innerText)?.[0] ?? row.innerText.split('\n')[2]));
  const shows = (what, wanted) => until(what, async () => {
    const seen = await rows();
    return JSON.stringify(seen) === JSON.stringify(wanted) || seen;
  });
  const field = (name) => page.getByRole('searchbox', { name });

  await open('#/events');
  await shows('all of it, the newest first', ['note-4', 'note-3', 'note-2', 'note-1']);
  await live(page);

  // With a text and without another.
  await field('With this text').fill('even');
  await shows('with a text', ['note-4', 'note-2']);
  await field('Without this text').fill('note-4');
  await shows('without another', ['note-2']);
  check('both are in the URL', /text=even/.test(await hash()) && /exclude=note-4/.test(await hash()), await hash());
  await page.getByRole('button', { name: 'Clear all' }).click();
  await shows('all of it again', ['note-4', 'note-3', 'note-2', 'note-1']);

  // What happens now comes on top, through the filter.
  await field('Without this text').fill('unwanted');
  await until('the filter is in the URL', async () => (await hash()).includes('exclude=unwanted'));
  await shows('nothing is left out yet', ['note-4', 'note-3', 'note-2', 'note-1']);
  await at('filtered');
  await shows('live through a filter', ['note-7', 'note-5', 'note-4', 'note-3', 'note-2', 'note-1']);
  await page.getByRole('button', { name: 'Clear all' }).click();
  await shows('all of it', ['note-7', 'note-6', 'note-5', 'note-4', 'note-3', 'note-2', 'note-1']);
  await at('followed');
  await shows('live without one', ['note-8', 'note-7', 'note-6', 'note-5', 'note-4', 'note-3', 'note-2', 'note-1']);

  // One event: its payload is whole, though the list has it in brief; it is copied as it was published.
  await page.getByRole('option').filter({ hasText: 'note-8' }).click();
  const panel = page.getByRole('complementary', { name: 'Event 8' });
  await panel.getByRole('treeitem').filter({ hasText: '9007199254740993.10' }).waitFor();
  await panel.getByRole('treeitem').filter({ hasText: 'rows' }).filter({ hasText: '500 items' }).waitFor();
  check('what is closed is not on the page', !(await panel.innerText()).includes('cell 499'));
  const copied = async (name) => {
    await panel.getByRole('button', { name }).click();
    await panel.getByRole('button', { name }).getByText('copied').waitFor();
    return page.evaluate(() => navigator.clipboard.readText());
  };
  const told = { payload: await copied('Copy payload'), event: await copied('Copy event'), curl: await copied('Copy as curl') };
  await panel.getByRole('button', { name: 'Raw' }).click();
  await panel.getByText('cell 499').waitFor();
  await panel.getByRole('button', { name: 'The event below' }).click();
  await page.getByRole('complementary', { name: 'Event 7' }).waitFor();
  await press('Escape');
  await page.getByRole('complementary').waitFor({ state: 'detached' });
  check('the page was never loaded again', await isSamePage(page));
  await at('copied', told);
});
