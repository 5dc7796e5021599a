import { describe, expect, it } from "vitest";
import { type RunConfig, runConfigSchema } from "#foretoken/config/config.js";
import { configFields } from "#foretoken/core/checks/schema-fields.js";
import type { RunSummary } from "#foretoken/serve/studio/protocol.js";
import { bestIn, differences, incomparable, measureOf } from "../../web/compare/differences.ts";
import { corpusChoices } from "../../web/new-run/corpora.ts";
import {
  asSentences,
  failureText,
  fieldOf,
  isOfForm,
  placeOf,
  wrongAtPlace,
  wrongFields,
  wrongOf,
} from "../../web/new-run/failures.ts";
import { aboutOf, labelOf } from "../../web/new-run/labels.ts";
import { asSentence, capital, flatten } from "../../web/parts/format.ts";

describe("a failure in the words of the form", () => {
  const wrong = (error: string, field?: string) => wrongOf(field === undefined ? { error } : { error, field });

  it("stands at its field, without the field's name", () => {
    const failure = { error: "config.model.nEmbd: must be above 0; got -1", field: "model.nEmbd" };
    expect([fieldOf(failure), wrongOf(failure), isOfForm(failure)]).toEqual([
      "model.nEmbd",
      "must be above 0; got -1",
      true,
    ]);
    expect(wrong("name: must be new", "name")).toBe("must be new");
    const noTemplate = "initFrom: conversations need a model with a chat template; got";
    expect(wrong(`${noTemplate} random weights; try choosing one`, "initFrom")).toMatch(
      /^The text holds conversations\. /u,
    );
    expect(wrong(`${noTemplate} a model without a chat template; try choosing one`, "initFrom")).toMatch(
      /^This model has no chat template, /u,
    );
    expect(wrong("request.keepLast: must be at least 1; got 0", "keepLast")).toBe("must be at least 1; got 0");
  });

  it("names other fields as the form does", () => {
    expect(wrong("config.model.nEmbd: must be divisible by nHead; got 50 and 3; try 48 or 54", "model.nEmbd")).toBe(
      "must be divisible by “Heads”; got 50 and 3; try 48 or 54",
    );
    const sum = "must make a step of at most 16777216 tokens, with model.contextLength and train.gradAccumSteps; got 2";
    expect(wrong(`config.train.batchSize: ${sum}`, "train.batchSize")).toBe(
      "must make a step of at most 16777216 tokens, with “Context” and “Batches per step”; got 2",
    );
    const kind = "config.tokenizer: vocabSize belongs to kind bpe; got kind char; try tokenizer.kind bpe";
    expect(wrong(kind, "tokenizer")).toBe("“Vocabulary size” belongs to kind bpe; got kind char; try “Tokenizer” bpe");
    expect(failureText({ error: "lora: must have a model; try initFrom MODEL" })).toBe(
      "Lora: must have a model. Try a model at “Begin with”.",
    );
  });

  it("stands at the field that was changed, of two that do not fit each other", () => {
    const error = "config.model.nEmbd: must be divisible by nHead; got 192 and 7; try 189 or 196";
    const failure = { error, field: "model.nEmbd" };
    expect(placeOf(failure, new Set(["model.nHead", "train.steps"]))).toBe("model.nHead");
    expect(wrongAtPlace(failure, "model.nHead")).toBe(
      "“Width” must be divisible by “Heads”; got 192 and 7; try 189 or 196",
    );
    for (const changed of [["model.nEmbd", "model.nHead"], ["train.steps"], []])
      expect(placeOf(failure, new Set(changed))).toBe("model.nEmbd");
    expect(wrongAtPlace(failure, "model.nEmbd")).toMatch(/^must be divisible by “Heads”/u);
    const short = { error: "text: must be longer; got model.contextLength 8", field: "text" };
    expect(placeOf(short, new Set(["model.contextLength"]))).toBe("text");
  });

  it("is one of several, each at its field that was changed", () => {
    const fault = (field: string, condition: string) => ({ error: `config.${field}: ${condition}`, field });
    const failure = {
      ...fault("model.nLayer", "must be at least 1; got -3"),
      others: [
        fault("train.learningRate", 'must be a number; got "abc"'),
        fault("train.evalInterval", "must be at least 1; got 0"),
      ],
    };
    expect([...wrongFields(failure, new Set(["model.nLayer", "train.learningRate"]))]).toEqual([
      ["model.nLayer", "Must be at least 1; got -3."],
      ["train.learningRate", "Must be a number; got “abc”."],
    ]);
    const name = { error: 'request.name: must have letters alone; got "a/b c"', field: "name" };
    const all = { ...name, others: [failure, ...failure.others] };
    expect([...wrongFields(all, new Set(["model.nLayer"])).keys()]).toEqual(["name", "model.nLayer"]);
    expect([...wrongFields({ ...failure, others: [name] }, new Set()).keys()]).toEqual(["model.nLayer", "name"]);
    expect([...wrongFields({ error: "no model" }, new Set())]).toEqual([]);
  });

  it("proposes nothing that the form does not have", () => {
    const text = "validation split: the text must have at least 2 tokens; got 1";
    expect(wrong(`${text.replace("2", "3")}; try more text, a larger valFraction, or another valData`, "text")).toBe(
      `${text.replace("2", "3")}; try more text`,
    );
    expect(
      wrong("the text: must be short; got more; try model.contextLength 7 or less, or a smaller valFraction"),
    ).toBe("the text: must be short; got more; try “Context” 7 or less");
    expect(wrong("name: must be at hand; try a network, a folder, or --data with a text of your own", "text")).toBe(
      "name: must be at hand; try a network or a folder",
    );
    expect(wrong("name: must be at hand; try --data", "text")).toBe("name: must be at hand");
    const adapter = "initFrom runs/a/best: must name a whole model; got an adapter without its base model";
    expect(
      failureText({ error: `${adapter}; try npx foretoken merge runs/a/best --out NEW, then initFrom NEW` }),
    ).not.toMatch(/then|Try/u);
  });

  it("says of a text how long it must be", () => {
    const validation =
      "validation split: the text must have at least 2 tokens; got 1; try more text, a larger valFraction";
    expect(wrong(validation, "text")).toMatch(/^The text is too short: .* at least 11 characters\. Try more text\.$/u);
    const training = (got: number) =>
      `training split: the part of the text to learn from must have at least 65 tokens, one more than the context; got ${got}, and 5 held out; try more text, or a smaller valFraction`;
    expect(wrong(training(39), "text")).toBe(
      "The text is too short: its training part must have 65 tokens, one more than “Context”; got 39. Try more text, or “Context” 38 or less.",
    );
    expect(wrong(training(1), "text")).toMatch(/; got 1\. Try more text\.$/u);
  });

  it("is in sentences", () => {
    expect(asSentences("must be divisible by “Heads”; got 50 and 3; try 48 or 54")).toBe(
      "Must be divisible by “Heads”; got 50 and 3. Try 48 or 54.",
    );
    expect(asSentences("“Width” must be even; got 65")).toBe("“Width” must be even; got 65.");
    expect(asSentences('a.jsonl:1: must have text; got a; try {"text": "…"}')).toBe(
      'a.jsonl:1: must have text; got a. Try {"text": "…"}',
    );
    expect(asSentences("The text could not be downloaded: no network. Choose Moby-Dick.")).toBe(
      "The text could not be downloaded: no network. Choose Moby-Dick.",
    );
  });

  it("says of a text that could not be downloaded why, and names the one that is included", () => {
    const must =
      "tiny-shakespeare: the text must be on this machine or downloadable from https://example.com/input.txt";
    const failure = (got: string) => ({
      error: `${must}; got ${got}; try a network, a folder with tiny-shake…`,
      field: "text",
    });
    expect(wrongOf(failure("getaddrinfo ENOTFOUND example.com"))).toBe(
      "The text could not be downloaded: no network. Choose Moby-Dick.",
    );
    expect(wrongOf(failure("no answer within 10 s"))).toBe(
      "The text could not be downloaded: no answer within 10 s. Choose Moby-Dick.",
    );
    expect(failureText(failure("HTTP status 503"))).toBe(
      "The text could not be downloaded: HTTP status 503. Choose Moby-Dick.",
    );
    const choices = corpusChoices(["tiny-shakespeare", "moby-dick"]);
    expect(choices.map(({ name, title }) => [name, title])).toEqual([
      ["moby-dick", "Moby-Dick"],
      ["tiny-shakespeare", "Tiny Shakespeare"],
    ]);
    expect(choices.map(({ about }) => about).join()).toMatch(/included\..*downloaded once\./u);
  });

  it("leaves words alone that are no names of fields", () => {
    const error =
      "x.jsonl:1: the name of 7 steps must be a mask; got seed.txt, a name.kind and norm.eps.x; try dropout";
    expect(wrong(error, "text")).toBe(error);
  });

  it("stands at the first field of a group that it is about as a whole", () => {
    expect(fieldOf({ error: "", field: "tokenizer" })).toBe("tokenizer.kind");
    expect(fieldOf({ error: "", field: "lora" })).toBe("lora.rank");
    expect(fieldOf({ error: "", field: "text.name" })).toBe("text");
  });

  it("stays apart where it is about no field", () => {
    for (const failure of [
      { error: "memory: must suffice; got less", field: "memory" },
      { error: "studio: one run at a time" },
    ]) {
      expect(isOfForm(failure)).toBe(false);
      expect(failureText(failure)).toBe(`${capital(failure.error)}.`);
    }
  });
});

describe("the fields of the form", () => {
  const fields = configFields(runConfigSchema).map(({ path, description }) => ({
    path: path.join("."),
    about: description,
  }));

  const ordinary = (text: string): string => text.replaceAll("AdamW", "Adam");

  it("have names of their own, in words", () => {
    const labels = fields.map(({ path }) => labelOf(path) ?? path);
    expect(
      labels.filter((label) => !/^[A-Z][A-Za-z:\- 0-9]*$/u.test(label) || /[a-z][A-Z]/u.test(ordinary(label))),
    ).toEqual([]);
    expect(labels.filter((label, i) => labels.indexOf(label) !== i)).toEqual([]);
    expect(labelOf("train.optimizer.weightDecay")).toBe("Optimizer: weight decay");
    expect(labelOf("memory")).toBeUndefined();
  });

  it("are described without names of code", () => {
    const abouts = fields.map(({ path, about }) => aboutOf(path, about));
    expect(abouts.filter((about) => /[a-z][A-Z]/u.test(ordinary(about)))).toEqual([]);
    expect(abouts.map(asSentence).filter((hint) => !/^[^a-z'"][^'"]*\.$/u.test(hint))).toEqual([]);
  });
});

describe("a configuration in lines", () => {
  it("has lists and objects in words", () => {
    const extensions = [{ after: 300, planned: 300, schedule: "stretch" }];
    const lines = flatten({ train: { steps: 600, extensions, betas: [0.9, 0.95] }, lora: null });
    expect(lines).toEqual([
      { path: "train.steps", value: "600" },
      { path: "train.extensions", value: "at step 300, planned to 300 (stretch)" },
      { path: "train.betas", value: "0.9, 0.95" },
      { path: "lora", value: "none" },
    ]);
  });
});

describe("a comparison says whose losses do not compare", () => {
  const run = (corpusSha256: string, kind: "char" | "bpe", vocabSize: number | null) => ({
    corpusSha256,
    vocabSize,
    config: { tokenizer: { kind } } as RunConfig,
  });

  it("of different texts in any unit", () => {
    for (const unit of ["nats per token", "bits per byte"])
      expect(incomparable([run("a", "char", 65), run("b", "char", 65)], unit)).toMatch(/different texts/);
  });

  it("of different tokenizers where the unit is a token", () => {
    const runs = [run("a", "char", 65), run("a", "bpe", 512)];
    expect(incomparable(runs, "nats per token")).toMatch(/different tokenizers/);
    expect(incomparable(runs, "nats per character")).toBeUndefined();
    expect(incomparable(runs, "bits per byte")).toBeUndefined();
  });

  it("and begins with a measure that compares", () => {
    const same = [run("a", "char", 65), run("a", "char", 65)];
    const different = [run("a", "char", 65), run("a", "bpe", 512)];
    expect(measureOf(null, same).value).toBe("valLoss");
    expect(measureOf(null, different).value).toBe("bitsPerByte");
    expect(incomparable(different, measureOf(null, different).unit)).toBeUndefined();
    expect(measureOf("valLoss", different).value).toBe("valLoss");
    expect(measureOf("nonsense", same).value).toBe("valLoss");
  });

  it("and gives the best value in the same measure", () => {
    const best = { step: 8, valLoss: 6.1, natsPerCharacter: 2.2, bitsPerByte: 3.2 };
    expect(bestIn(measureOf("bitsPerByte", []), best)).toEqual({ value: 3.2, unit: "bits per byte" });
    expect(bestIn(measureOf("natsPerCharacter", []), best)).toEqual({ value: 2.2, unit: "nats per character" });
    expect(bestIn(measureOf("loss", []), best)).toEqual({ value: 6.1, unit: "nats per token, validation" });
    expect(bestIn(measureOf("loss", []), null).value).toBeUndefined();
  });

  it("not of runs with the same ones, or without any step", () => {
    expect(incomparable([run("a", "bpe", 512), run("a", "bpe", 512)], "nats per token")).toBeUndefined();
    expect(incomparable([run("a", "bpe", 512), run("a", "bpe", null)], "nats per token")).toBeUndefined();
  });
});

it("a comparison writes large numbers of differing fields with commas, and seeds as they are", () => {
  const run = (steps: number, seed: number, vocabSize: number, eps: number) =>
    ({
      ...{ corpus: "a.txt", corpusSha256: "0", initFrom: null, vocabSize },
      config: { train: { steps, seed, batchSize: 8, learningRate: eps } } as RunConfig,
    }) as RunSummary;
  // A file of another program may hold the same number, rounded to float32.
  expect(differences([run(2000, 1, 65, 1e-6), run(40_000, 20_261, 2000, Math.fround(1e-6))])).toEqual([
    { path: "train.steps", values: ["2,000", "40,000"] },
    { path: "train.seed", values: ["1", "20261"] },
    { path: "tokenizer.vocabSize", values: ["65", "2,000"] },
  ]);
  expect(differences([run(8, 1, 65, 0.00015), run(8, 1, 65, 1.5e-7)])).toEqual([
    { path: "train.learningRate", values: ["0.00015", "1.5e-7"] },
  ]);
});
