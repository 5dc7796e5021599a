/** Values that often break programs: words, numbers and JSON. */

const escapeCode = String.fromCharCode(27);

/** A short or long text with something unusual. */
export const hostileWord = (random, longest = 100_000) => {
  switch (random.below(10)) {
    case 0:
      return "";
    case 1:
      return random.pick(["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf", "then"]);
    case 2:
      return `${escapeCode}[2J${escapeCode}]0;title${String.fromCharCode(7)}x`;
    case 3:
      return random.pick(["a\nb", "a\r\nb", "\t", "\0", "a\0b", "\u2028", "\u0085", "\u202Eabc", "\ufeff", "\x7f"]);
    case 4:
      return random
        .pick(["\ud800", "\udfff\ud800", "é", "e\u0301", "日本語", "👩‍👩‍👧‍👦", "ﬃ", "İ"])
        .repeat(random.between(1, 40));
    case 5:
      return "x".repeat(random.between(100, longest));
    case 6:
      return random.pick(["'", '"', "`", "\\", "$(id)", "%s%n", "{}", "[]", "<b>", "-", "--", "=", "=x", "\\n", " "]);
    case 7:
      return String.fromCharCode(...Array.from({ length: random.between(1, 20) }, () => random.between(1, 0xffff)));
    case 8:
      return random.pick(["null", "true", "undefined", "NaN", "Infinity", "0", "-1", "1e999", "[object Object]"]);
    default:
      return String.fromCharCode(...Array.from({ length: random.between(1, 12) }, () => random.between(97, 122)));
  }
};

/** Texts of numbers that are valid JSON, but unexpected for most programs. */
export const hostileNumber = (random) =>
  random.pick([
    ...["0", "-0", "-1", "1e-46", "-1e-46", "5e-324", "1e-320", "1.5", "0.1", "1e308", "-1e308", "1e999", "-1e999"],
    ...["9007199254740991", "9007199254740993", "4294967296", "2147483648", "18446744073709551616", "1e21", "1e400"],
    ...["0.30000000000000004", "1E+5", "123456789012345678901234567890", "0e0", "1e38", "3.5e38", "-3.5e38", "1e-7"],
  ]);

/** Depth of nesting at which a recursive parser overflows its stack. */
const deep = (random) => random.pick([30, 1000, 20_000, 300_000]);

/** Any JSON text. The result is text, not a value, because `hostileNumber` decides how numbers are written. */
export const hostileJson = (random, depth = 2) => {
  const kind = random.below(depth > 0 ? 12 : 6);
  switch (kind) {
    case 0:
      return hostileNumber(random);
    case 1:
      return JSON.stringify(hostileWord(random, 5000));
    case 2:
      return random.pick(["true", "false", "null"]);
    case 3:
      return random.pick(["[]", "{}", '""', "[[]]", "[{}]", "[null]"]);
    case 4:
      return String(random.between(-3, 40));
    case 5:
      return random.pick(["NaN", "Infinity", "undefined", "'x'", "0x10", "01", "+1", ".5", "1.", "1_000", "/**/1"]);
    case 6: {
      const levels = deep(random);
      return random.pick([
        () => "[".repeat(levels) + "]".repeat(levels),
        () => "[".repeat(levels),
        () => ['{"a":'.repeat(levels), "}".repeat(levels)].join("1"),
        () => '{"a":'.repeat(levels),
      ])();
    }
    case 7:
      return `[${Array.from({ length: random.pick([3, 100, 20_000]) }, () => random.below(10)).join()}]`;
    case 8:
      return `[${Array.from({ length: random.between(1, 4) }, () => hostileJson(random, depth - 1)).join()}]`;
    default: {
      const keys = Array.from({ length: random.between(1, 4) }, () => JSON.stringify(hostileWord(random, 5000)));
      return `{${keys.map((key) => `${key}:${hostileJson(random, depth - 1)}`).join()}}`;
    }
  }
};

/** Every place in a plain value: an object or a list, and one of its keys. */
const placesOf = (value, places = []) => {
  if (typeof value !== "object" || value === null) return places;
  for (const key of Object.keys(value)) {
    places.push({ holder: value, key });
    placesOf(value[key], places);
  }
  return places;
};

/** Placeholder in a value for JSON text that `JSON.stringify` cannot write. */
const rawMark = "\u0001raw:";

/**
 * JSON text of `value` with one to three faults: a replaced value, or a renamed, added, removed or repeated key.
 * @param {import("../lib/random.mjs").Random} random
 */
export const damagedJson = (random, value, { longestKey = 3_000_000 } = {}) => {
  const copy = structuredClone(value);
  const raw = [];
  const setRaw = (text) => `${rawMark}${raw.push(text) - 1}\u0001`;
  const twice = [];
  for (let fault = random.between(1, 3); fault > 0; fault--) {
    const places = placesOf(copy);
    if (places.length === 0) break;
    const { holder, key } = random.pick(places);
    switch (random.below(7)) {
      case 0:
        delete holder[key];
        break;
      case 1: {
        const name = random.chance(0.1) ? "k".repeat(random.pick([1000, 300_000, longestKey])) : hostileWord(random);
        const rest = Array.isArray(holder) ? undefined : Object.entries(holder);
        if (rest === undefined) holder.push(setRaw(hostileJson(random)));
        else Object.defineProperty(holder, name, { value: 1, enumerable: true, configurable: true, writable: true });
        break;
      }
      case 2: {
        // Copies the value of another place, so that the type may change.
        const other = random.pick(places);
        holder[key] = structuredClone(other.holder[other.key]);
        break;
      }
      case 3:
        holder[key] = setRaw(hostileNumber(random));
        break;
      case 4:
        if (!Array.isArray(holder)) twice.push({ key, text: hostileJson(random, 1) });
        break;
      default:
        holder[key] = setRaw(hostileJson(random));
    }
  }
  let text = JSON.stringify(copy, null, random.pick([0, 2])) ?? "null";
  text = text.replace(/"\\u0001raw:(\d+)\\u0001"/gu, (_, index) => raw[Number(index)]);
  for (const { key, text: again } of twice) text = text.replace("{", () => `{${JSON.stringify(key)}:${again},`);
  if (random.chance(0.05)) text = text.replace("{", '{"__proto__":{"polluted":1},');
  return text;
};

/** Bytes of a text in an encoding that may not be UTF-8, cut or padded. */
export const damagedEncoding = (random, text) => {
  const utf8 = Buffer.from(text);
  switch (random.below(8)) {
    case 0:
      return Buffer.from(`\ufeff${text}`);
    case 1:
      return Buffer.from(text, "utf16le");
    case 2:
      return Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, "utf16le")]);
    case 3:
      return utf8.subarray(0, random.below(utf8.length + 1));
    case 4:
      return damagedBytes(random, utf8);
    case 5:
      return Buffer.concat([utf8, random.pick([Buffer.alloc(10), Buffer.from("x"), Buffer.from("{}"), utf8])]);
    case 6:
      return Buffer.from(text, "latin1");
    default:
      return utf8;
  }
};

/** Damages `bytes`: flips bits, cuts the end, or repeats, removes, zeroes or moves ranges. */
export const damagedBytes = (random, bytes) => {
  if (bytes.length === 0) return random.bytes(random.between(0, 64));
  const at = random.below(bytes.length);
  const length = Math.min(bytes.length - at, random.pick([1, 2, 8, 64, 1000, bytes.length]));
  switch (random.below(7)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 3: {
      const copy = Buffer.from(bytes);
      copy.fill(random.pick([0, 0xff, 0x20, 0x7f]), at, at + length);
      return copy;
    }
    case 4: {
      const copy = Buffer.from(bytes);
      copy.set(bytes.subarray(at, at + length), random.below(bytes.length - length + 1));
      return copy;
    }
    default: {
      const copy = Buffer.from(bytes);
      for (let flips = random.pick([1, 1, 1, 3, 20]); flips > 0; flips--) {
        const byte = random.below(copy.length);
        copy[byte] ^= 1 << random.below(8);
      }
      return copy;
    }
  }
};
