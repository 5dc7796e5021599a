import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { addonFile, findPrebuilt } from "#foretoken/backend/implementations/native/prebuilt.node.js";
import { UnsupportedKernelError } from "#foretoken/core/errors/errors.js";
import { useFolder } from "../../support/runs.ts";

const { newPath } = useFolder();

const name = `@some/native-${process.platform}-${process.arch}`;

/**
 * An installed package with `dependencies`. The folder next to it contains the optional package in version `installed`.
 */
const packageWith = async (dependencies: object, installed?: string): Promise<string> => {
  const modules = join(newPath(), "node_modules");
  const root = join(modules, "main");
  await mkdir(root, { recursive: true });
  await writeFile(join(root, "package.json"), JSON.stringify({ version: "1.2.3", ...dependencies }));
  if (installed !== undefined) {
    await mkdir(join(modules, name), { recursive: true });
    await writeFile(join(modules, name, "package.json"), JSON.stringify({ name, version: installed }));
  }
  return root;
};

describe("the prebuilt native kernels", () => {
  test("are looked for only where package.json names them: a clone's does not", async () => {
    expect(findPrebuilt(await packageWith({}, "1.2.3"))).toBeUndefined();
    const other = { optionalDependencies: { "@some/native-plan9-vax": "1.2.3" } };
    expect(findPrebuilt(await packageWith(other, "1.2.3"))).toBeUndefined();
  });

  test("are found beside the package, with its version", async () => {
    const root = await packageWith({ optionalDependencies: { [name]: "1.2.3" } }, "1.2.3");
    expect(findPrebuilt(root)).toEqual({ name, file: join(root, "..", name, addonFile) });
  });

  test("that were left out are named", async () => {
    expect(findPrebuilt(await packageWith({ optionalDependencies: { [name]: "1.2.3" } }))).toEqual({
      name,
      file: null,
    });
  });

  test("of another version are refused, with both versions", async () => {
    const root = await packageWith({ optionalDependencies: { [name]: "1.2.3" } }, "1.2.2");
    const finding = (): unknown => findPrebuilt(root);
    expect(finding).toThrow(UnsupportedKernelError);
    expect(finding).toThrow(
      `native backend: ${name} must have the version of this package, 1.2.3; got 1.2.2; try removing node_modules`,
    );
  });
});
