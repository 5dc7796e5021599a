/** Reads an uncompressed ZIP archive, using the directory at the end of the archive. */

export interface Unzipped {
  readonly bytes: Uint8Array;
  /** CRC-32 in hexadecimal, as the archive states it. */
  readonly crc: string;
}

/** @throws Error if parts of the archive contradict each other. */
export const unzip = (archive: ArrayBuffer): Readonly<Record<string, Unzipped>> => {
  const view = new DataView(archive);
  const u16 = (at: number): number => view.getUint16(at, true);
  const u32 = (at: number): number => view.getUint32(at, true);
  const bytesAt = (at: number, length: number): Uint8Array => new Uint8Array(archive, at, length);
  const nameAt = (at: number, length: number): string => new TextDecoder().decode(bytesAt(at, length));
  const check = (one: unknown, other: unknown): void => {
    if (one !== other) throw new Error(`the archive has ${one} where it says ${other}`);
  };
  const end = view.byteLength - 22;
  check(u32(end), 0x06054b50);
  const files: Record<string, Unzipped> = {};
  let at = u32(end + 16);
  check(at + u32(end + 12), end);
  for (let i = 0; i < u16(end + 10); i++) {
    check(u32(at), 0x02014b50);
    const [size, length, local] = [u32(at + 24), u16(at + 28), u32(at + 42)];
    const name = nameAt(at + 46, length);
    check(u32(local), 0x04034b50);
    check(nameAt(local + 30, u16(local + 26)), name);
    for (const field of [14, 18, 22]) check(u32(local + field), u32(at + field + 2));
    files[name] = { bytes: bytesAt(local + 30 + length, size), crc: u32(at + 16).toString(16) };
    at += 46 + length;
  }
  check(at, end);
  return files;
};
