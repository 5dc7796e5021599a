import { expect, it } from "vitest";
import { sampleLines } from "#foretoken/cli/display/texts/sample-text.js";
import type { SampleEvent, StartEvent } from "#foretoken/runs/events.js";
import { style } from "./style.ts";

const chat = { documents: { chat: true } } as unknown as Pick<StartEvent, "documents">;
const sample = (prompt: string, text: string): SampleEvent => ({ v: 1, type: "sample", step: 4, prompt, text });

it("a sample of a conversation shows who speaks, and another sample is one text", () => {
  const dialogue = sample("Who are you?", "\nA cat.\tYes.");
  expect(sampleLines(dialogue, chat, 40, style(true))).toEqual(["│ User: Who are you?", "│ Model: A cat.    Yes."]);
  expect(sampleLines(dialogue, chat, 40, style(true, true))[0]).toContain("\u001b[1mUser: Who are you?");
  expect(sampleLines(sample("Once", " upon"), {}, 40, style(true))).toEqual(["│ Once upon"]);
});
