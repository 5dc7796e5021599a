import { expect, it } from "vitest";
import { checkManifest, withManifest } from "#foretoken/io/manifest-in-memory.js";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

it("names a file that the manifest does not list, and one that has changed", async () => {
  const files = await withManifest({ "config.json": bytes("{}") });
  await checkManifest(files, ["config.json"], "model");
  await expect(checkManifest({ ...files, "mine.json": bytes("1") }, ["mine.json"], "model")).rejects.toThrow(
    "model/mine.json: manifest.json must list the file; got no file with this name; try a complete copy of the files",
  );
  await expect(checkManifest({ ...files, "config.json": bytes("[]") }, ["config.json"], "model")).rejects.toThrow(
    /model\/config\.json: the file must match its SHA-256/u,
  );
});
