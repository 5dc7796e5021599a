import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missingChromium, serveSite } from "../browser/chromium.ts";
import { openTab } from "../browser/tab.ts";
import { wordsText } from "../support/runs.ts";
import { makeSmaller, newStarter, root, type Starter, siteFiles } from "./starter.ts";

const page = "docs/guides/hosting.md";

describe.skipIf(missingChromium !== undefined)(
  `the service worker of ${page}${missingChromium === undefined ? "" : `: ${missingChromium}`}`,
  () => {
    let starter: Starter;
    beforeAll(async () => {
      starter = await newStarter("page", { js: true });
    });
    afterAll(() => starter.remove());

    test("isolates a page from a server without headers, which then trains on WebAssembly", async () => {
      const block = /```js\n\/\/ isolate\.js\n([\s\S]*?)```/u.exec(await readFile(join(root, page), "utf8"))?.[1] ?? "";
      await writeFile(join(starter.folder, "isolate.js"), block);
      await makeSmaller(starter, 5);
      const index = await readFile(join(starter.folder, "index.html"), "utf8");
      const changed = index.replace("<head>", '<head><script src="isolate.js"></script>');
      await writeFile(join(starter.folder, "index.html"), changed);
      await serveSite({ files: await siteFiles(starter.folder), headers: {} }, async (address) => {
        const tab = await openTab(address);
        try {
          await tab.untilLoaded(
            "crossOriginIsolated && document.readyState === 'complete' && document.getElementById('text').value !== ''",
          );
          expect(await tab.evaluate("document.querySelectorAll('.notice').length")).toBe(0);
          await tab.evaluate(`document.getElementById("text").value = ${JSON.stringify(wordsText("isolate", 300))}`);
          await tab.evaluate(`document.getElementById("train").click()`);
          await tab.until(`document.querySelectorAll("#table tr").length >= 1`);
          await tab.press("Escape");
          await tab.until(`document.getElementById("train").textContent === "Train"`);
        } finally {
          await tab.close();
        }
      });
    });
  },
);
