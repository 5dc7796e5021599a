import { describe, expect, it } from "vitest";
import { merge } from "#foretoken/config/merge.js";
import { presets } from "#foretoken/config/presets.js";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";

class Model {
  nLayer = 2;
}

const cyclic: Record<string, unknown> = {};
cyclic.model = { nLayer: 2, self: cyclic };

const deep = (): unknown => {
  let value: unknown = 1;
  for (let depth = 0; depth < 100_000; depth++) value = { model: value };
  return value;
};

const refusing = (trap: keyof ProxyHandler<object>): unknown =>
  new Proxy(
    {},
    {
      [trap]: () => {
        throw new TypeError("no");
      },
    },
  );

const revoked = (): unknown => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};

const hostile: [string, unknown, RegExp][] = [
  [
    "__proto__ in model",
    { model: JSON.parse('{"__proto__":{"nLayer":2}}') },
    /^config\.model: every key must be a known one; got "__proto__"/u,
  ],
  [
    "__proto__ above",
    JSON.parse('{"__proto__":{"model":{"nLayer":2}}}'),
    /^config: every key must be a known one; got "__proto__"/u,
  ],
  ["constructor", { model: { constructor: { nLayer: 2 } } }, /every key must be a known one; got "constructor"/u],
  ["toString", { train: { toString: 1 } }, /every key must be a known one; got "toString"/u],
  [
    "an accessor",
    {
      model: {
        get nLayer() {
          return 2;
        },
      },
    },
    /config\.model: every field must be a plain value; got an accessor, "nLayer"/u,
  ],
  [
    "an object of a class",
    { model: new Model() },
    /config\.model: must be a plain object; got an instance of a class/u,
  ],
  ["a map", new Map([["model", {}]]), /config: must be a plain object/u],
  ["a list", { model: [1, 2] }, /config\.model: must be an object; got \[1, 2\]/u],
  ["a text", "model", /config: must be an object; got "model"/u],
  ["a symbol", { model: { [Symbol("nLayer")]: 2 } }, /every key must be a string; got symbol Symbol\(nLayer\)/u],
  ["an object that holds itself", cyclic, /must be nested at most 16 deep/u],
  ["objects in objects", deep(), /must be nested at most 16 deep/u],
  [
    "too many keys",
    { model: Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`k${i}`, 1])) },
    /must have at most 10000 fields; got more/u,
  ],
  ["a key of 30 MB", { model: { ["k".repeat(30_000_000)]: 1 } }, /every key must be a known one; got "kkk/u],
  [
    "a value of 30 MB",
    { model: { mask: "k".repeat(30_000_000) } },
    /config\.model\.mask: must be causal or none; got "kkk/u,
  ],
  ["a bigint", { model: { nLayer: 2n } }, /config\.model\.nLayer: must be a number; got bigint 2/u],
  ["a function", { model: { nLayer: () => 2 } }, /must be a number; got a function/u],
  ["a symbol for a value", { model: { nLayer: Symbol("2") } }, /must be a number; got symbol/u],
  ["a proxy that lists no keys", refusing("ownKeys"), /^config: must be plain data; got an unreadable object/u],
  ["a proxy without prototype", refusing("getPrototypeOf"), /must be plain data/u],
  ["a proxy that was revoked", { model: revoked() }, /must be plain data/u],
];

describe("a configuration given to the library", () => {
  it.each(hostile)("is refused in one line with %s", (_, config, message) => {
    let error: unknown;
    try {
      resolveConfig("quick", [config]);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).toMatch(/^[^\n]{1,300}$/u);
  });

  it("cannot change what all objects inherit", () => {
    const changes: unknown = JSON.parse('{"__proto__":{"polluted":1},"model":{"__proto__":{"polluted":1}}}');
    const merged = merge(presets.quick, changes) as Record<string, unknown>;
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
    expect(Object.keys(merged)).toContain("__proto__");
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it("may be an object without prototype, as a module's", () => {
    const config = Object.assign(Object.create(null), { model: Object.assign(Object.create(null), { nLayer: 3 }) });
    expect(resolveConfig("quick", [config]).model.nLayer).toBe(3);
  });
});
