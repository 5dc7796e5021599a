import { expect, it } from "vitest";
import { zipFolder } from "#foretoken/io/zip.js";
import { unzip } from "../support/unzip.ts";

it("a ZIP archive has the files of a folder below its name, and is the same for the same files", async () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const files = { "run.json": bytes("123456789"), "checkpoint/ä": bytes(""), "best/a": bytes("b") };
  const archive = zipFolder(files, "my run");
  expect(unzip(await archive.arrayBuffer())).toEqual({
    // The check value of CRC-32 in its definition.
    "my run/run.json": { bytes: files["run.json"], crc: "cbf43926" },
    "my run/checkpoint/ä": { bytes: files["checkpoint/ä"], crc: "0" },
    "my run/best/a": { bytes: files["best/a"], crc: "71beeff9" },
  });
  expect(await zipFolder(files, "my run").text()).toBe(await archive.text());
});
