import { describe, expect, it } from "vitest";
import { zipFolder } from "#foretoken/io/zip.js";

/** The files of an archive, by its directory at the end. */
const unzipped = async (archive: Blob): Promise<Record<string, { text: string; crc: string }>> => {
  const view = new DataView(await archive.arrayBuffer());
  const u16 = (at: number): number => view.getUint16(at, true);
  const u32 = (at: number): number => view.getUint32(at, true);
  const textAt = (at: number, length: number): string =>
    new TextDecoder().decode(new Uint8Array(view.buffer, at, length));
  const end = view.byteLength - 22;
  expect(u32(end)).toBe(0x06054b50);
  const files: Record<string, { text: string; crc: string }> = {};
  let at = u32(end + 16);
  expect(at + u32(end + 12)).toBe(end);
  for (let i = 0; i < u16(end + 10); i++) {
    expect(u32(at)).toBe(0x02014b50);
    const [size, nameLength, local] = [u32(at + 24), u16(at + 28), u32(at + 42)];
    const name = textAt(at + 46, nameLength);
    expect(u32(local)).toBe(0x04034b50);
    expect(textAt(local + 30, u16(local + 26))).toBe(name);
    expect([u32(local + 14), u32(local + 18), u32(local + 22)]).toEqual([u32(at + 16), size, size]);
    files[name] = { text: textAt(local + 30 + nameLength, size), crc: u32(at + 16).toString(16) };
    at += 46 + nameLength;
  }
  expect(at).toBe(end);
  return files;
};

describe("a ZIP archive", () => {
  it("has the files of a folder below its name", async () => {
    const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
    const files = { "run.json": bytes("123456789"), "checkpoint/ä": bytes(""), "best/a": bytes("b") };
    const archive = zipFolder(files, "my run");
    expect(await unzipped(archive)).toEqual({
      // The check value of CRC-32 in its definition.
      "my run/run.json": { text: "123456789", crc: "cbf43926" },
      "my run/checkpoint/ä": { text: "", crc: "0" },
      "my run/best/a": { text: "b", crc: "71beeff9" },
    });
    expect(await zipFolder(files, "my run").text()).toBe(await archive.text());
  });
});
