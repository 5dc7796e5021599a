/** Documentation in editors. Every exported type and all its fields must have a docstring. */

import ts from "typescript";
import { describe, expect, it } from "vitest";
import { checker, docOf, edited, entries, exportsOf, ownDeclaration, placeOf, service } from "./library.ts";

/** The discriminator of an event. The docstring of the event's type explains it. */
const isDiscriminator = (property: ts.Symbol, type: ts.Type): boolean =>
  property.name === "type" && type.isStringLiteral();

interface Field {
  readonly name: string;
  readonly place: string;
  readonly doc: string;
}

/** The fields of a type, and of this project's types that its fields use. */
const fieldsOf = (root: ts.Symbol): readonly Field[] => {
  const fields: Field[] = [];
  const seen = new Set<ts.Type>();
  const visit = (type: ts.Type, path: string): void => {
    if (seen.has(type)) return;
    seen.add(type);
    if (type.isUnion()) {
      for (const member of type.types) visit(member, path);
      return;
    }
    for (const argument of checker.isArrayType(type) ? checker.getTypeArguments(type as ts.TypeReference) : [])
      visit(argument, path);
    const { symbol } = type;
    if (symbol === undefined || ownDeclaration(symbol) === undefined || type.getCallSignatures().length > 0) return;
    for (const property of checker.getPropertiesOfType(type)) {
      const declaration = ownDeclaration(property);
      if (declaration === undefined) continue;
      const its = checker.getTypeOfSymbol(property);
      const name = `${path}.${property.name}`;
      if (!isDiscriminator(property, its)) fields.push({ name, place: placeOf(declaration), doc: docOf(property) });
      visit(its, name);
    }
  };
  visit(checker.getDeclaredTypeOfSymbol(root), root.name);
  return fields;
};

describe.each(Object.entries(entries))("the types of %s", (_, entry) => {
  const types = exportsOf(entry).filter(({ flags }) => flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias));

  it("are all walked", () => {
    const names = types.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        ...["RunConfig", "TrainConfig", "ModelConfig", "OptimizerConfig", "ScheduleConfig", "TokenizerConfig"],
        ...["TrainOptions", "GenerateOptions", "LoadOptions", "EvaluateOptions", "ScoreOptions"],
        entry === entries.foretoken ? "BackendOptions" : "WasmOptions",
        ...[
          "WorkerLoadOptions",
          "TrainEvent",
          "GenerateEvent",
          "StartEvent",
          "ProfileEvent",
          "DoneEvent",
          "LanguageModel",
        ],
      ]),
    );
    const walked = types.flatMap(fieldsOf).map(({ name }) => name);
    expect(walked).toEqual(
      expect.arrayContaining([
        "ModelConfig.position.scaling.originalContext",
        "RunConfig.train.optimizer.momentum",
        "TrainOptions.onCheckpoint",
        "GenerateOptions.temperature",
        "StartEvent.memory.weights",
        "ProfileEvent.kernels.flops",
      ]),
    );
  });

  it("have a docstring at every field", () => {
    const bare = types.flatMap(fieldsOf).filter(({ doc }) => doc.trim() === "");
    expect([...new Set(bare.map(({ place, name }) => `${place} ${name}`))]).toEqual([]);
  });

  it("have a docstring themselves", () => {
    const bare = types.filter((symbol) => docOf(symbol).trim() === "");
    expect(bare.map(({ name }) => name)).toEqual([]);
  });
});

describe("an editor", () => {
  const { file, text } = edited;

  it.each([
    ["nLayer", "Transformer blocks. Whole number from 1 to 2048. Default: "],
    ["hidden", "Hidden width. Whole number from 1 to 262,144."],
    ["steps", "Optimizer updates. Whole number from 1. Default: "],
    ["text", "The text itself"],
    ["data", "the name of a corpus"],
    ["valData", "name or path of a text"],
    ["threads", "Number of threads, if the backend"],
    ["out", "Folder of the run"],
    ["resume", "With a folder, the run continues"],
    ["temperature", "Divides the logits"],
    ["prompt", "The text to continue"],
  ])("shows at %s what it means", (field, doc) => {
    const hover = service.getQuickInfoAtPosition(file, text.indexOf(`${field}:`));
    expect(ts.displayPartsToString(hover?.documentation).replaceAll("\n", " ")).toContain(doc);
    const names = service
      .getCompletionsAtPosition(file, text.indexOf(`${field}:`), {})
      ?.entries.map(({ name }) => name);
    expect(names).toContain(field);
  });
});
