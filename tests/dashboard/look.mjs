// Light, dark and as the system has it; a choice holds through a reload.
import { check, run } from './drive.mjs';

// How light the ground is: 0 black, 1 white.
const lightness = (page) => page.evaluate(() => {
  const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/[\d.]+/g).map(Number);
  return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
});

await run({ colorScheme: 'dark' }, async ({ page, open }) => {
  const theme = page.getByRole('button', { name: 'theme' });
  const isDark = async (what) => check(`dark ${what}`, (await lightness(page)) < 0.2);
  const isLight = async (what) => check(`light ${what}`, (await lightness(page)) > 0.8);
  await open();
  await isDark('as the system has it');
  await theme.click();
  await isLight('as it was chosen');
  await page.reload();
  await theme.waitFor();
  await isLight('after a reload');
  await theme.click();
  await theme.click();
  await isDark('as the system has it again');
  await page.emulateMedia({ colorScheme: 'light' });
  await isLight('when the system turns');
  await theme.click();
  await theme.click();
  await isDark('as it was chosen');
});
