// Makes the README's pictures of the studio from a real run: light and dark.
//
//     npm start -- --out runs/shakespeare
//     node scripts/docs/studio-pictures.mjs runs/shakespeare
//
// Writes assets/studio-light.png and assets/studio-dark.png: the run's page from the top to its samples.
import { basename, dirname, join, resolve } from "node:path";
import { chromium } from "playwright-core";
import { root } from "../build/common.mjs";
import { findChromium } from "../find-chromium.mjs";

const [run] = process.argv.slice(2);
if (run === undefined) throw new Error("a run must be named: node scripts/docs/studio-pictures.mjs runs/NAME");
const { startStudio } = await import(join(root, "dist/serve/studio/start.js"));
const { version } = (await import(join(root, "package.json"), { with: { type: "json" } })).default;
const studio = await startStudio({ folder: dirname(resolve(run)), port: 0, version });
const browser = await chromium.launch({ executablePath: findChromium(), args: ["--no-sandbox"] });

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  const context = await browser.newContext({ viewport: { width: 1120, height: 780 }, colorScheme });
  const page = await context.newPage();
  await page.goto(new URL(`/runs/${basename(run)}?smooth=20`, studio.url).href);
  await page.getByRole("heading", { name: "Samples" }).waitFor();
  await page.waitForTimeout(500);
  const samples = await page.locator(".samples").boundingBox();
  if (samples === null) throw new Error("the page shows no samples");
  await page.setViewportSize({ width: 1120, height: Math.ceil(samples.y + samples.height) + 24 });
  await page.waitForTimeout(500);
  await page.screenshot({ path: join(root, `assets/studio-${colorScheme}.png`) });
  await context.close();
}
await browser.close();
await studio.close();
