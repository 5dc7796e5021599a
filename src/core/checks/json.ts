import { shorten, show } from "../text/show.ts";

/**
 * Reads JSON from an untrusted file. Size and depth are checked before parsing, so a forged file cannot exhaust memory
 * or the stack. After these checks, a recursive function can visit all values safely.
 */

/** Maximum nesting of lists and objects. The files of Foretoken are nested much less. */
const maxDepth = 64;

/** Limits of a JSON text. */
export interface JsonLimits {
  readonly maxBytes: number;
  /** Maximum number of values, including lists and objects. Default: unlimited. */
  readonly maxValues?: number;
  /** Maximum number of keys of all objects. A key can take 300 bytes of memory. Default: unlimited. */
  readonly maxKeys?: number;
  /** Name of the text in errors. Default: "the file". */
  readonly what?: string;
  /**
   * Whether keys are data, for example tensor names. If keys are not data, the key `__proto__` is refused, because no
   * configuration has this key.
   */
  readonly anyKey?: boolean;
}

/**
 * Limits for each kind of file. With these limits parsing takes at most 200 MiB plus twice the file's size, for any
 * contents.
 */
export const jsonLimits = {
  /** A configuration takes a few kilobytes. */
  config: { maxBytes: 2 ** 20 },
  /** This limit is large enough for vocabularies of other programs, so that an error can name the kind of the file. */
  tokenizer: { maxBytes: 2 ** 26, maxValues: 2 ** 21, maxKeys: 2 ** 19, anyKey: true },
  /**
   * This limit is large enough for both moments of the deepest model that is allowed: 50,000 tensors with four keys
   * each.
   */
  safetensorsHeader: { maxBytes: 2 ** 23, maxValues: 2 ** 19, maxKeys: 2 ** 18, what: "the header", anyKey: true },
} as const satisfies Record<string, JsonLimits>;

/** An error in a JSON text: the condition that must hold, and what the text contains instead. */
export interface JsonFault {
  readonly must: string;
  readonly got: string;
  readonly cause?: unknown;
}

/** Bytes of JSON's structural characters. */
const sign = {
  quote: 0x22,
  comma: 0x2c,
  colon: 0x3a,
  backslash: 0x5c,
  openList: 0x5b,
  closeList: 0x5d,
  openObject: 0x7b,
  closeObject: 0x7d,
} as const;

/** Properties of a JSON text that are known before it is parsed. */
interface Scanned {
  readonly keys: number;
  readonly fault?: JsonFault;
}

/**
 * Counts depth, values and keys in one pass over the bytes. In UTF-8, structural bytes never occur inside other
 * characters.
 */
const scan = (bytes: Uint8Array, what: string, maxValues: number, maxKeys: number): Scanned => {
  let depth = 0;
  let values = 1;
  let keys = 0;
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case sign.quote:
        for (at++; at < bytes.length && bytes[at] !== sign.quote; at++) if (bytes[at] === sign.backslash) at++;
        break;
      case sign.openList:
      case sign.openObject:
        depth++;
        values++;
        if (depth > maxDepth) {
          const must = `lists and objects in ${what} must be nested at most ${maxDepth} deep`;
          return { keys, fault: { must, got: `more at byte ${at}` } };
        }
        break;
      case sign.closeList:
      case sign.closeObject:
        depth--;
        break;
      case sign.comma:
        values++;
        break;
      case sign.colon:
        keys++;
        break;
    }
    if (values > maxValues || keys > maxKeys) {
      const most = values > maxValues ? `${maxValues} values` : `${maxKeys} keys`;
      return { keys, fault: { must: `${what} must hold at most ${most}`, got: "more" } };
    }
  }
  return { keys };
};

/**
 * Counts the keys of all objects in a parsed value, at most `maxDepth` deep. `protos` counts the keys that are
 * `__proto__`.
 */
const countKeys = (value: unknown): { readonly keys: number; readonly protos: number } => {
  let keys = 0;
  let protos = 0;
  const visit = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return;
    if (Array.isArray(node)) {
      for (const item of node) visit(item);
      return;
    }
    for (const key of Object.keys(node)) {
      keys++;
      if (key === "__proto__") protos++;
      visit((node as Readonly<Record<string, unknown>>)[key]);
    }
  };
  visit(value);
  return { keys, protos };
};

/**
 * Returns the first duplicate key of an object in a JSON text, or undefined.
 * @param json text that `JSON.parse` accepts.
 */
const findDuplicateKey = (json: string): string | undefined => {
  const open: (Set<string> | "list")[] = [];
  let lastString = [0, 0] as readonly [start: number, end: number];
  for (let at = 0; at < json.length; at++) {
    switch (json.charCodeAt(at)) {
      case sign.quote: {
        const start = at;
        for (at++; json.charCodeAt(at) !== sign.quote; at++) if (json.charCodeAt(at) === sign.backslash) at++;
        lastString = [start, at + 1];
        break;
      }
      case sign.openObject:
        open.push(new Set());
        break;
      case sign.openList:
        open.push("list");
        break;
      case sign.closeObject:
      case sign.closeList:
        open.pop();
        break;
      case sign.colon: {
        const keys = open.at(-1);
        const key = JSON.parse(json.slice(...lastString)) as string;
        if (!(keys instanceof Set)) break;
        if (keys.has(key)) return key;
        keys.add(key);
        break;
      }
    }
  }
  return undefined;
};

/**
 * Parses a JSON text in UTF-8 with at most 64 levels of lists and objects. Duplicate keys in an object are refused.
 * `JSON.parse` silently keeps the last value of a duplicate key, so two programs that read a file could see different
 * values.
 * @param refuse makes the error. A text is refused if it is too large, too deeply nested, not JSON, or contains a
 * forbidden key.
 */
export const parseJson = (bytes: Uint8Array, limits: JsonLimits, refuse: (fault: JsonFault) => Error): unknown => {
  const { POSITIVE_INFINITY: any } = Number;
  const { maxBytes, maxValues = any, maxKeys = any, what = "the file", anyKey = false } = limits;
  if (bytes.length > maxBytes) {
    throw refuse({ must: `${what} must be at most ${maxBytes} bytes`, got: `${bytes.length}` });
  }
  const scanned = scan(bytes, what, maxValues, maxKeys);
  if (scanned.fault !== undefined) throw refuse(scanned.fault);
  const mustBeJson = `${what} must be JSON in UTF-8`;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw refuse({ must: mustBeJson, got: "bytes that are not UTF-8", cause });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refuse({ must: mustBeJson, got: shorten(cause instanceof Error ? cause.message : String(cause)), cause });
  }
  const { keys, protos } = countKeys(value);
  if (keys !== scanned.keys) {
    const twice = findDuplicateKey(text);
    throw refuse({ must: `every key of an object in ${what} must be unique`, got: `${show(twice)} twice` });
  }
  if (protos > 0 && !anyKey) throw refuse({ must: "every key must be a known one", got: '"__proto__"' });
  return value;
};
