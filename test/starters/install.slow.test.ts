import { readlink, realpath, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { shell } from "../package/installed.ts";
import { newStarter, root } from "./starter.ts";

test.each(["page", "node"] as const)(
  "npm installs the %s starter without a warning, and nothing from elsewhere",
  async (kind) => {
    const { folder, remove } = await newStarter(kind, { bare: true });
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

test("the starter for Node.js is valid TypeScript under another name", async () => {
  const { folder, remove } = await newStarter("node");
  try {
    await rename(join(folder, "main.js"), join(folder, "main.ts"));
    const types = { typeRoots: [join(root, "node_modules/@types")], types: ["node"] };
    const settings = { strict: true, noEmit: true, module: "nodenext", target: "es2022", skipLibCheck: true };
    await writeFile(
      join(folder, "tsconfig.json"),
      JSON.stringify({ compilerOptions: { ...settings, ...types }, files: ["main.ts"] }),
    );
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    expect(await shell(`"${process.execPath}" "${tsc}" -p .`, folder)).toMatchObject({ status: 0, stdout: "" });
  } finally {
    await remove();
  }
});
