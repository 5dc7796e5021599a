/** Whether the bytes are exactly one character in UTF-8. */
export const isChar = (bytes: Uint8Array): boolean => {
  const [first = 0] = bytes;
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (bytes.length !== length) return false;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
};
