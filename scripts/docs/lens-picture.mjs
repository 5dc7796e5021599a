// Makes the first picture of the README, light and dark: the lens of a pretrained model on a sentence.
//     python3 scripts/fetch-model.py smollm2
//     node scripts/docs/lens-picture.mjs ~/.cache/foretoken/smollm2/smollm2-q8_0.gguf
// Writes assets/lens-light.webp and assets/lens-dark.webp, as `npx foretoken studio --model MODEL` shows the model. The
// pictures have the width of a README on GitHub. The resolution of the pictures is higher, so that small letters are
// sharp.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { root } from "../build/common.mjs";
import { findChromium } from "../find-chromium.mjs";

/**
 * This function is executed in the page. The function converts a PNG to WebP, which has a third of the size. Both
 * images are in base64.
 */
const asWebp = async (/** @type {string} */ png) => {
  const bytes = Uint8Array.from(atob(png), (character) => character.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/webp", quality: 0.85 });
  const found = new Uint8Array(await blob.arrayBuffer());
  return btoa(Array.from(found, (byte) => String.fromCharCode(byte)).join(""));
};

const [model] = process.argv.slice(2);
if (model === undefined) throw new Error("a model must be named: node scripts/docs/lens-picture.mjs MODEL");
const { startStudio } = await import(join(root, "dist/serve/studio/start.js"));
const { version } = (await import(join(root, "package.json"), { with: { type: "json" } })).default;
// The studio shows no runs, so that the picture does not depend on the machine.
const folder = await mkdtemp(join(tmpdir(), "foretoken-picture-"));
const studio = await startStudio({ folder, models: [model], port: 0, version });
const browser = await chromium.launch({ executablePath: findChromium(), args: ["--no-sandbox"] });
try {
  for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
    const options = { viewport: { width: 846, height: 1200 }, deviceScaleFactor: 1.5, colorScheme };
    const context = await browser.newContext({ ...options, reducedMotion: "reduce" });
    const page = await context.newPage();
    await page.goto(studio.inside.url);
    await page.locator(".rise polyline").waitFor({ timeout: 300_000 });
    await page.locator(".computing span").waitFor({ state: "detached" });
    const edge = (selector, side) =>
      page
        .locator(selector)
        .first()
        .evaluate((box, one) => box.getBoundingClientRect()[one], side);
    const top = Math.floor(await edge(".view-head", "top")) - 16;
    const clip = { x: 0, y: top, width: 830, height: Math.ceil(await edge(".cells-box", "bottom")) + 16 - top };
    const png = (await page.screenshot({ clip })).toString("base64");
    await writeFile(
      join(root, `assets/lens-${colorScheme}.webp`),
      Buffer.from(await page.evaluate(asWebp, png), "base64"),
    );
    await context.close();
  }
} finally {
  await browser.close();
  await studio.close();
  await rm(folder, { recursive: true });
}
