import { readdir, readlink, realpath } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { shell } from "../package/installed.ts";
import { newStarter, root } from "./starter.ts";

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

test.each([
  ["node", "npm run check"],
  ["page", "npm run build"],
] as const)("npm installs the %s starter without a warning, and its types are right: %s", async (kind, command) => {
  const { folder, remove } = await newStarter(kind, { bare: true });
  try {
    // From npm's cache where it has them: this project has TypeScript and Vite in other versions.
    expect(await shell("npm install --prefer-offline", folder)).toMatchObject({ status: 0, stderr: "" });
    expect(await shell(command, folder)).toMatchObject({ status: 0, stderr: "" });
    if (kind === "page") expect(await readdir(join(folder, "dist"))).toEqual(["assets", "index.html"]);
  } finally {
    await remove();
  }
});
