/** The types of the configuration are written by hand, for editors. These tests compare the types with the schemas. */
import { expect, expectTypeOf, it } from "vitest";
import type { z } from "zod";
import type { RunConfig, runConfigSchema, TrainConfig, trainConfigSchema } from "#foretoken/config/config.js";
import type { generateSettingsSchema } from "#foretoken/generate/options.js";
import type { Sampling, samplingSchema } from "#foretoken/generate/sampling/settings.js";
import type { ModelConfig, modelConfigSchema } from "#foretoken/models/config.js";
import type {
  OptimizerConfig,
  optimizerConfigSchema,
  ScheduleConfig,
  scheduleConfigSchema,
} from "#foretoken/optim/config.js";
import type { TokenizerConfig, tokenizerConfigSchema } from "#foretoken/tokenizer/config.js";

const script = new URL("../../scripts/docs/config-docs.mjs", import.meta.url).href;
const { configSources }: { configSources: () => Promise<readonly Source[]> } = await import(script);

interface Source {
  readonly file: string;
  readonly source: string;
  /** The text of the file with docstrings from the schemas. */
  readonly text: string;
}

/** Removes readonly from a type and its parts, because schemas have no readonly. */
type Mutable<T> = T extends object ? { -readonly [K in keyof T]: Mutable<T[K]> } : T;

it("the types of the configuration are those of their schemas", () => {
  expectTypeOf<Mutable<RunConfig>>().toEqualTypeOf<z.output<typeof runConfigSchema>>();
  expectTypeOf<Mutable<TrainConfig>>().toEqualTypeOf<z.output<typeof trainConfigSchema>>();
  expectTypeOf<Mutable<ModelConfig>>().toEqualTypeOf<z.output<typeof modelConfigSchema>>();
  expectTypeOf<Mutable<OptimizerConfig>>().toEqualTypeOf<z.output<typeof optimizerConfigSchema>>();
  expectTypeOf<Mutable<ScheduleConfig>>().toEqualTypeOf<z.output<typeof scheduleConfigSchema>>();
  expectTypeOf<Mutable<TokenizerConfig>>().toEqualTypeOf<z.output<typeof tokenizerConfigSchema>>();
  expectTypeOf<Mutable<Sampling>>().toEqualTypeOf<z.output<typeof samplingSchema>>();
  type Numbers = "maxNewTokens" | "seed";
  expectTypeOf<Pick<z.output<typeof generateSettingsSchema>, Numbers>>().toEqualTypeOf<{
    maxNewTokens: number;
    seed: number;
  }>();
  // Tests the comparison itself: it detects a missing field and a different type.
  expectTypeOf<Mutable<Omit<ModelConfig, "nHead">>>().not.toEqualTypeOf<z.output<typeof modelConfigSchema>>();
  expectTypeOf<Mutable<Omit<ModelConfig, "mask"> & { readonly mask: string }>>().not.toEqualTypeOf<
    z.output<typeof modelConfigSchema>
  >();
});

it("the docstrings of their fields are those of the schemas: description, range and default", async () => {
  const sources = await configSources();
  expect(sources.length).toBeGreaterThan(5);
  for (const { file, source, text } of sources) {
    const written = source.split("\n");
    const differing = text.split("\n").filter((line) => !written.includes(line));
    expect(differing, `${file}: node scripts/docs/config-docs.mjs writes them`).toEqual([]);
    expect(source).toBe(text);
  }
});

it("the script writes what a schema says, and finds a docstring that says something else", async () => {
  const [train] = await configSources();
  expect(train?.text).toContain("  /** Optimizer updates. Whole number from 1. Default: ");
  expect(train?.text).toMatch(
    /\* Number format of matrix products; .*`auto`,\s+\* `float32` or `bfloat16`\. Default: `auto` in/u,
  );
  const models = (await configSources()).find(({ file }) => file === "src/models/config.ts");
  expect(models?.text).toContain("Whole number from 1 to 2048. Default: ");
  const parts = (await configSources()).find(({ file }) => file === "src/models/config-parts.ts");
  expect(parts?.text).toContain("/** Added to the variance. Number above 0. Default 1e-5. */");
});
