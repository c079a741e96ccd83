// One plan as a tree, as a timeline and as its log, while it goes on.
import { at, check, isSamePage, live, run, same, until } from './drive.mjs';

await run({}, async ({ page, open }) => {
  const press = async (...keys) => { for (const key of keys) await page.keyboard.press(key); };
  const hash = () => page.evaluate(() => location.hash);
  const tab = (name) => page.getByRole('tab', { name });
  const step = (text) => page.getByRole('treeitem').filter({ hasText: text });
  const levels = () => page.getByRole('treeitem').evaluateAll((rows) => rows.map((row) => Number(row.getAttribute('aria-level'))));

  // From the list into the plan: its goal, how it stands, and all below it in one tree.
  await open('#/plans');
  await page.getByRole('option').filter({ hasText: 'book a trip' }).click();
  await page.getByRole('heading', { name: 'book a trip', level: 1 }).waitFor();
  await step('take the train').filter({ hasText: 'it is faster' }).waitFor();
  await step('find a room').waitFor();
  await step('reserve').filter({ hasText: 'no longer free' }).waitFor();
  same('the steps and their levels', await levels(), [1, 2, 2, 2, 2, 3, 3, 2]);
  check('a call says how long it took', /1\.50 s/.test(await step('search_trains').innerText()), await step('search_trains').innerText());
  check('one that runs says so', /running/.test(await step('pay').innerText()));
  await live(page);

  // A subplan is closed and opened by keys, and its steps with it.
  await step('find a room').click();
  await press('ArrowLeft');
  await step('reserve').waitFor({ state: 'detached' });
  await press('ArrowRight');
  await step('reserve').waitFor();
  await press('Escape');

  // Only what failed, with the plans that hold it.
  await page.getByRole('checkbox', { name: 'failed only' }).check();
  await step('search_trains').waitFor({ state: 'detached' });
  same('what failed, and what holds it', await levels(), [1, 2, 3]);
  check('it is in the URL', (await hash()).includes('failed=true'));
  await page.getByRole('checkbox', { name: 'failed only' }).uncheck();
  await page.getByRole('searchbox', { name: 'Tool, goal' }).fill('search_tr');
  await until('one step is left', async () => JSON.stringify(await levels()) === '[1,2]');
  await page.getByRole('searchbox', { name: 'Tool, goal' }).fill('');

  // The timeline: calls that ran side by side are seen side by side, one that came later is not.
  await tab('Timeline').click();
  const timeline = page.getByRole('application', { name: 'Timeline of the plan' });
  const bar = timeline.getByRole('img');
  await timeline.focus();
  const bars = {};
  for (let stop = 0; stop < 6; stop += 1) {
    await press('ArrowRight');
    await bar.waitFor({ state: 'attached' });
    bars[(await bar.getAttribute('aria-label')).split(',')[0]] = await bar.boundingBox();
  }
  const { search_trains: first, search_planes: second, pay: third } = bars;
  const overlap = (a, b) => a.x < b.x + b.width && b.x < a.x + a.width;
  check('calls side by side overlap in time, in lanes of their own', overlap(first, second) && Math.abs(first.y - second.y) >= first.height - 1, bars);
  check('one that came later does not', !overlap(first, third) && third.x > first.x + first.width - 1, bars);
  await press('+', '+');
  await until('the window is in the URL', async () => (await hash()).includes('range=') || hash());
  await page.reload();
  await page.getByRole('tab', { name: 'Timeline', selected: true }).waitFor();
  check('the window holds through a reload', (await hash()).includes('range='));
  await page.getByRole('button', { name: 'All', exact: true }).click();
  await until('all is shown again', async () => !(await hash()).includes('range='));

  // The log: every event of the plan and of its subplan, in order, each with its cause.
  await press('l');
  await page.getByRole('tab', { name: 'Log', selected: true }).waitFor();
  const row = (text) => page.getByRole('option').filter({ hasText: text });
  await row('SubplanSpawned').waitFor();
  const types = () => page.getByRole('option').evaluateAll((rows) => rows.map((one) => /PlanStarted|DecisionMade|ToolCalled|ToolCompleted|SubplanSpawned|SubplanCompleted|PlanFailed|PlanCompleted|note/.exec(one.innerText)[0]));
  same('events in the order of the log', await types(), [
    'PlanStarted', 'DecisionMade', 'ToolCalled', 'ToolCalled', 'ToolCompleted', 'ToolCompleted', 'SubplanSpawned', 'PlanStarted',
    'ToolCalled', 'ToolCompleted', 'ToolCalled', 'note', 'ToolCalled',
  ]);
  await row('note').getByText('caused by #10').click();
  await page.getByRole('complementary', { name: 'Event 10' }).waitFor();
  await press('Escape');
  await page.getByRole('complementary').waitFor({ state: 'detached' });

  await at('seen');
  await row('PlanFailed').waitFor();
  await row('SubplanCompleted').waitFor();
  await row('PlanCompleted').last().filter({ hasNotText: 'Subplan' }).waitFor();
  await press('t');
  await step('search_trains').waitFor();
  await page.getByRole('banner').waitFor();
  await page.getByText('completed').first().waitFor();
  check('a plan that has ended ticks no more', !/running/.test(await page.getByRole('tree').innerText()));

  // Back is where one came from.
  await page.goBack();
  await page.getByRole('tab', { name: 'Log', selected: true }).waitFor();
});
