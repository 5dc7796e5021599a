import { createHash } from "node:crypto";
import { readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { shareFile } from "#foretoken/io/shared-file.node.js";
import { useFolder } from "../support/runs.ts";

const { newPath } = useFolder();

describe("a file that is in two places", () => {
  it("has a digest, and stays when the first one is replaced or removed", async () => {
    const [path, link, to] = [newPath(), newPath(), newPath()];
    await writeFile(path, "weights");
    await symlink(path, link);
    const sha256 = createHash("sha256").update("weights").digest("hex");
    expect(await shareFile({ kind: "shared", path: link, mostCopied: 0 }, to)).toEqual({ bytes: 7, sha256 });
    await rm(path);
    expect(await readFile(to, "utf8")).toBe("weights");
  });

  it("replaces nothing", async () => {
    const [path, to] = [newPath(), newPath()];
    await writeFile(path, "weights");
    await writeFile(to, "mine");
    const share = shareFile({ kind: "shared", path, mostCopied: 100 }, to);
    await expect(share).rejects.toThrow("EEXIST");
    expect(await readFile(to, "utf8")).toBe("mine");
    expect((await stat(path)).size).toBe(7);
  });
});
