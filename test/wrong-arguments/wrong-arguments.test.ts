import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ForetokenError } from "#foretoken/index.js";
import { browserCases } from "./browser.ts";
import { type Case, wrongValues } from "./case.ts";
import { modelsCases } from "./models.ts";
import { useSetup } from "./setup.ts";
import { tensorsCases } from "./tensors.ts";
import { textCases } from "./text.ts";
import { trainingCases } from "./training.ts";

/**
 * Every public function, called as JavaScript can call it: with arguments of any kind. It answers with a ForetokenError
 * or with success, and never with a TypeError from deep inside.
 */

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

/** Calls, waits, and takes a few events; returns the error. */
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

describe.each(cases)("$name", (one) => {
  const { args, allows = () => true } = one;

  it("answers a wrong argument with a ForetokenError of one line", async () => {
    for (let place = 0; place < Math.max(1, args().length); place++) {
      for (const value of wrongValues.filter((wrong) => allows(wrong, place))) {
        const error = await failureOf(one, args().with(place, value));
        expect(isRefusal(error), `place ${place}, ${typeof value}: ${complaint(error)}`).toBe(true);
        if (error !== undefined) expect((error as Error).message).toMatch(/^[^\n]{1,300}$/u);
      }
    }
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
        expect(isRefusal(error), `${one.name}: ${complaint(error)}`).toBe(true);
      },
    ),
    { numRuns: 200 },
  );
});
