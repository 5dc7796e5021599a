import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as browser from "#foretoken/browser.js";
import * as foretoken from "#foretoken/index.js";
import { browserCases } from "./browser.ts";
import { type Case, damaged, wrongValues } from "./case.ts";
import { modelsCases } from "./models.ts";
import { useSetup } from "./setup.ts";
import { tensorsCases } from "./tensors.ts";
import { textCases } from "./text.ts";
import { trainingCases } from "./training.ts";

/**
 * Calls every public function as JavaScript can: with arguments of any type. The function must throw a ForetokenError
 * or succeed. The function must never throw a TypeError from internal code.
 */

const { ForetokenError } = foretoken;
const setup = useSetup();

const cases: readonly Case[] = [
  ...tensorsCases(setup),
  ...textCases(setup),
  ...modelsCases(setup),
  ...trainingCases(setup),
  ...browserCases(setup),
];

const isIterator = (value: unknown): value is AsyncIterator<unknown> =>
  typeof value === "object" && value !== null && "next" in value && "return" in value;

/** Calls the function, awaits the result, and reads a few events. Returns the error. */
const failureOf = async ({ call }: Case, args: readonly unknown[]): Promise<unknown> => {
  try {
    const result: unknown = await call(...(args as never[]));
    if (isIterator(result)) {
      for (let taken = 0; taken < 4; taken++) if ((await result.next()).done === true) break;
      await result.return?.();
    }
    return undefined;
  } catch (error) {
    return error;
  }
};

const isRefusal = (error: unknown): boolean => error === undefined || error instanceof ForetokenError;

const complaint = (error: unknown): string => (error instanceof Error ? String(error.stack) : String(error));

const expectRefusal = (error: unknown, what: string): void => {
  // Most errors have the expected class. Stacks are printed only for other errors, because printing a stack takes
  // longer than the rest of this test.
  if (!isRefusal(error)) expect.fail(`${what}: ${complaint(error)}`);
  if (error !== undefined) expect((error as Error).message).toMatch(/^[^\n]{1,300}$/u);
};

/** A misspelt option: the name without its second-to-last letter. A short name gets one more letter instead. */
const mistyped = (option: string): string =>
  option.length < 4 ? `${option}x` : option.slice(0, -2) + option.slice(-1);

describe.each(cases)("$name", (one) => {
  const { args, option, allows = () => true } = one;

  it("answers a wrong argument with a ForetokenError of one line", async () => {
    for (let place = 0; place < Math.max(1, args().length); place++) {
      for (const value of wrongValues.filter((wrong) => allows(wrong, place))) {
        expectRefusal(await failureOf(one, args().with(place, value)), `place ${place}, ${typeof value}`);
      }
    }
  });

  if (option === undefined) {
    it("does so for an object with a wrong member", async () => {
      for (let place = 0; place < args().length; place++) {
        for (const [member, value] of damaged(args()[place])) {
          if (!allows(value, place)) break;
          expectRefusal(await failureOf(one, args().with(place, value)), `place ${place}, ${member}`);
        }
      }
    });
  }

  if (option !== undefined && option !== "other" && one.isOpen !== true) {
    it("names a mistyped option", async () => {
      const name = mistyped(option);
      const error = await failureOf(one, [1, name]);
      expect(error, complaint(error)).toBeInstanceOf(ForetokenError);
      expect((error as Error).message).toContain("every key must be a known one");
      expect((error as Error).message).toContain(`got "${name}"`);
      // Two options may have the same similarity.
      const [, hint] = /; try (?:.*\.)?(\w+)$/u.exec((error as Error).message) ?? [];
      if (name.length > 4) expect(option).toMatch(new RegExp(`^${hint}`, "u"));
    });
  }
});

describe.each([
  ["foretoken", foretoken, foretoken, ""],
  ["foretoken/browser", browser, foretoken, "browser: "],
] as const)("the functions of %s", (_, entry, other, prefix) => {
  it("are all among the cases", () => {
    const names = Object.entries(entry)
      .filter(([, value]) => typeof value === "function" && !(value.prototype instanceof Error))
      .filter(([name, value]) => entry === other || Reflect.get(other, name) !== value)
      .map(([name]) => prefix + name);
    expect(names.filter((name) => !cases.some((one) => one.name === name))).toEqual([]);
  });
});

it("several wrong arguments at once are answered the same", async () => {
  const several = cases.filter(({ args }) => args.length === 0 && args().length > 1);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...several),
      fc.array(fc.option(fc.constantFrom(...wrongValues), { nil: "keep" }), { minLength: 6, maxLength: 6 }),
      async (one, values) => {
        const args = one
          .args()
          .map((own, place) =>
            values[place] === "keep" || one.allows?.(values[place], place) === false ? own : values[place],
          );
        const error = await failureOf(one, args);
        if (!isRefusal(error)) expect.fail(`${one.name}: ${complaint(error)}`);
      },
    ),
    { numRuns: 200 },
  );
});
