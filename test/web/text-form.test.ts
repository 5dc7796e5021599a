import { describe, expect, it } from "vitest";
import { compileConstraint } from "#foretoken/generate/constraint/compile.js";
import { formChoices, formFailure, readForm } from "../../web/playground/text-form.ts";
import { byteTokenizer } from "../support/byte-tokenizer.ts";

describe("the form of a text", () => {
  it("is a constraint, by what was typed", () => {
    expect(readForm("any", "")).toEqual({ constraint: undefined });
    expect(readForm("json", "")).toEqual({ constraint: { kind: "json" } });
    expect(readForm("jsonSchema", '{ "type": "null" }')).toEqual({
      constraint: { kind: "jsonSchema", schema: { type: "null" } },
    });
    expect(readForm("regex", " a+")).toEqual({ constraint: { kind: "regex", pattern: " a+" } });
    expect(readForm("choice", "yes\nno\n")).toEqual({ constraint: { kind: "choice", choices: ["yes", "no"] } });
    expect(readForm("grammar", 'root ::= "a"')).toEqual({ constraint: { kind: "grammar", grammar: 'root ::= "a"' } });
  });

  it("waits for a text, and says what is wrong with a schema that is no JSON", () => {
    for (const { kind, field } of formChoices)
      if (field !== undefined) expect(readForm(kind, " ")).toEqual({ wrong: undefined });
    const read = readForm("jsonSchema", "{ type: null }");
    expect("wrong" in read && read.wrong).toMatch(/^The schema must be JSON: [^\n]+\.$/u);
  });

  it("is named in an error as on the page", () => {
    expect(formFailure("regex", "constraint.pattern: must have a ]; got none")).toBe(
      "Regular expression: must have a ]; got none",
    );
    expect(formFailure("jsonSchema", "constraint.schema.properties.a: must be: this")).toBe(
      "JSON Schema, properties.a: must be: this",
    );
    expect(formFailure("grammar", "constraint: must be short")).toBe("Grammar in EBNF: must be short");
    expect(formFailure("json", "constraint.kind: must be known")).toBe("constraint.kind: must be known");
  });

  it("has examples that can be written", () => {
    for (const { kind, field } of formChoices) {
      if (field === undefined) continue;
      const read = readForm(kind, field.example);
      if (!("constraint" in read) || read.constraint === undefined) throw new Error(kind);
      expect(() =>
        compileConstraint(read.constraint as NonNullable<typeof read.constraint>, byteTokenizer()),
      ).not.toThrow();
    }
  });
});
