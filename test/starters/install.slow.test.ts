import { readdir, readlink, realpath } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isolation, missingChromium, serveSite } from "../browser/chromium.ts";
import { openTab } from "../browser/tab.ts";
import { shell } from "../package/installed.ts";
import { newStarter, root, type Starter } from "./starter.ts";

test.each(["page", "node"] as const)(
  "npm installs the %s starter in JavaScript without a warning, and nothing from elsewhere",
  async (kind) => {
    const { folder, remove } = await newStarter(kind, { js: true, bare: true });
    try {
      const { status, stdout, stderr } = await shell("npm install --offline", folder);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(stdout).toMatch(/added 1 package\b/u);
      const installed = join(folder, "node_modules/foretoken");
      expect(await readlink(installed)).toBeTruthy();
      expect(await realpath(installed)).toBe(await realpath(root));
      const { stdout: version } = await shell("npx --no-install foretoken --version", folder);
      expect(version).toMatch(/^\d+\.\d+\.\d+\n$/u);
    } finally {
      await remove();
    }
  },
);

/**
 * npm installs the starter, from its cache if possible. npm may need the registry, because this project has other
 * versions of some packages.
 */
const installed = async (kind: "page" | "node"): Promise<Starter> => {
  const starter = await newStarter(kind, { bare: true });
  const outcome = await shell("npm install --prefer-offline", starter.folder);
  if (outcome.status !== 0 || outcome.stderr !== "") await starter.remove();
  expect(outcome).toMatchObject({ status: 0, stderr: "" });
  return starter;
};

test("npm installs the starter for Node.js without a warning, and its types are right", async () => {
  const { folder, remove } = await installed("node");
  try {
    expect(await shell("npm run check", folder)).toMatchObject({ status: 0, stderr: "" });
  } finally {
    await remove();
  }
});

const withoutChromium = missingChromium === undefined ? "" : `: ${missingChromium}`;

describe.skipIf(missingChromium !== undefined)(`the starter's page, built${withoutChromium}`, () => {
  test("is static files for any folder of a server, which train", async () => {
    const { folder, remove } = await installed("page");
    try {
      expect(await shell("npm run build", folder)).toMatchObject({ status: 0, stderr: "" });
      expect((await readdir(join(folder, "dist"))).sort()).toEqual(["assets", "index.html"]);
      const assets = join(folder, "dist/assets");
      const names = await readdir(assets);
      const files = {
        "/below/page/": join(folder, "dist/index.html"),
        ...Object.fromEntries(names.map((name) => [`/below/page/assets/${name}`, join(assets, name)])),
      };
      await serveSite({ files, headers: isolation }, async (address) => {
        const tab = await openTab(`${address}below/page/`);
        try {
          await tab.until(`document.getElementById("text").value.length > 10_000`);
          expect(await tab.evaluate(`document.querySelectorAll(".notice").length`)).toBe(0);
          await tab.evaluate(`document.getElementById("train").click()`);
          await tab.until(`document.querySelectorAll("#table tr").length >= 1`);
          expect(tab.errors).toEqual([]);
        } finally {
          await tab.close();
        }
      });
    } finally {
      await remove();
    }
  });
});
