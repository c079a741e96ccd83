// The server is killed and started again, twice, while plans go on: no row is lost, none is there twice.
import { at, isSamePage, live, run, same, check, until } from './drive.mjs';

await run({ expected: [/ERR_CONNECTION_REFUSED/, /ERR_INCOMPLETE_CHUNKED_ENCODING/, /ERR_CONNECTION_RESET/] }, async ({ page, open }) => {
  // How the plans stand, by their goals, as the list shows them.
  const rows = async () => {
    const texts = await page.getByRole('option').allInnerTexts();
    return texts.map((text) => [text.match(/goal \d+/)?.[0], text.match(/completed|failed,|running/)?.[0]].join(' ')).sort();
  };
  const shows = (what, wanted) => until(what, async () => {
    const seen = await rows();
    return JSON.stringify(seen) === JSON.stringify(wanted) || seen;
  });
  await open();
  await live(page);
  let wanted = (await at('open')).rows;
  for (const round of ['first', 'second']) {
    await shows(`${round} rows`, wanted);
    await at(`${round} rows`);
    await page.getByText('reconnecting').waitFor();
    same(`${round}: what was there stays while the server is away`, await rows(), wanted);
    wanted = (await at(`${round} cut`)).rows;
    await live(page);
    await shows(`${round} rows after the cut`, wanted);
    wanted = (await at(`${round} again`)).rows;
  }
  await shows('the last rows', wanted);
  check('the page was never loaded again', await isSamePage(page));
});
