import { describe, expect, it } from "vitest";
import { looksLikeDocuments } from "../../web/new-run/conversations.ts";

describe("a pasted text", () => {
  const pair = '{"prompt": "Who?", "completion": "Me."}';
  const chat = '{"messages": [{"role": "user", "content": "Hi"}]}';

  it.each([
    ["conversations", `${chat}\n${chat}\n`],
    ["one conversation", chat],
    ["pairs after blank lines", `\n\n${pair}\n\n${pair}`],
    ["conversations in another form", '{"conversations": []}'],
    ["texts", '{"text": "a"}\r\n{"text": "b"}\r\n'],
  ])("holds documents: %s", (_name, text) => {
    expect(looksLikeDocuments(text)).toBe(true);
  });

  it.each([
    ["nothing", ""],
    ["prose", "A text.\nAnd more."],
    ["code that begins with a brace", "{\n  return 1;\n}"],
    ["JSON over several lines", '{\n"text": "a"\n}'],
    ["other JSON", '{"a": 1}\n{"a": 2}'],
    ["a half of a pair", '{"prompt": "a"}'],
    ["a document before prose", `${pair}\nAnd then?`],
    ["a list", '[{"text": "a"}]'],
  ])("does not hold documents: %s", (_name, text) => {
    expect(looksLikeDocuments(text)).toBe(false);
  });
});
