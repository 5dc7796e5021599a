import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTemplateRenderer, type TemplateRenderer } from "#foretoken/chat/template.node.js";
import { callsConstraint } from "#foretoken/chat/tools/constraint.js";
import { type ToolForm, toolFormOf } from "#foretoken/chat/tools/form.js";
import { type AnswerPiece, answerReader } from "#foretoken/chat/tools/reader.js";
import { type ToolMessage, templateMessages, templateTools } from "#foretoken/chat/tools/tools.js";
import { compileConstraint } from "#foretoken/generate/constraint/compile.js";
import { encodeWithSpecials } from "#foretoken/tokenizer/special.js";
import { chatMl } from "../support/chats.ts";
import {
  clock,
  type ToolTemplate,
  toolChatTemplate,
  toolTemplates,
  toolTokenizer,
  weather,
} from "../support/tool-chats.ts";

const { specialTokens } = toolTokenizer;
const endTokens = specialTokens.slice(2, 3).map(({ id }) => id);
let renderer: TemplateRenderer;
beforeAll(() => {
  renderer = openTemplateRenderer();
});
afterAll(() => renderer.close());

const formOf = (template: string): Promise<ToolForm> => {
  const chat = toolChatTemplate(template);
  return toolFormOf(
    chat,
    (messages, tools) => renderer.render(chat, messages, "model", tools),
    { specialTokens, endTokens },
    "model",
  );
};

const kinds = Object.keys(toolTemplates) as readonly ToolTemplate[];
const conversation: readonly ToolMessage[] = [
  { role: "user", content: "Hi" },
  {
    ...{ role: "assistant", content: "" },
    toolCalls: [{ id: "abcdefgh1", name: "get_weather", arguments: { city: "Oslo", days: 2 } }],
  },
];

/** The answer as the template writes it, up to its end. */
const written = async (kind: ToolTemplate, form: ToolForm): Promise<string> => {
  const chat = toolChatTemplate(toolTemplates[kind]);
  const text = await renderer.render(
    chat,
    templateMessages(conversation, "m"),
    "m",
    templateTools([weather, clock], (i) => `tools.${i}`),
  );
  const from = text.lastIndexOf(form.open);
  return text.slice(from, text.indexOf("<|im_end|>", from));
};

const piecesOf = (form: ToolForm, text: string, size: number, begin: Parameters<typeof answerReader>[1]) => {
  const reader = answerReader(form, begin);
  const pieces: AnswerPiece[] = [];
  for (let at = 0; at < text.length; at += size) pieces.push(...reader.push(text.slice(at, at + size)));
  pieces.push(...reader.end());
  const calls: { name: string; json: string }[] = [];
  let content = "";
  for (const piece of pieces) {
    if (piece.kind === "text") content += piece.text;
    else if (piece.kind === "call") calls[piece.call] = { name: piece.name, json: "" };
    else (calls[piece.call] ?? { json: "" }).json += piece.text;
  }
  return { content, calls, isWhole: reader.isWhole };
};

describe("the form of a template's calls", () => {
  it("is found by what the template writes", async () => {
    const forms = Object.fromEntries(
      await Promise.all(kinds.map(async (kind) => [kind, await formOf(toolTemplates[kind])])),
    );
    expect(forms).toMatchObject({
      hermes: { marker: "<tool_call>", atStart: false, between: expect.stringMatching(/<\/tool_call>\n<tool_call>/u) },
      thinking: {
        open: '<|call|>{"name": "',
        marker: "<|call|>",
        atStart: false,
        between: '}<|done|>\n<|call|>{"name": "',
      },
      bare: { open: '{"name": "', marker: "{", atStart: true, between: null, close: "}" },
      list: { marker: "[TOOL_CALLS]", atStart: false, between: '"}, {"name": "', close: '"}]' },
      named: { open: "<function=", marker: "<function=", atStart: false, between: "</function><function=" },
    });
    expect(forms.list.parts.map(({ kind }: { kind: string }) => kind)).toEqual([
      "name",
      "text",
      "arguments",
      "text",
      "id",
    ]);
  });

  it.each([
    [
      "no tools",
      chatMl,
      /model: the model's chat template must write tool calls .*; got a template that does not show tools to the model/u,
    ],
    [
      "arguments of another form",
      toolTemplates.named.replace("arguments | tojson", "arguments | length"),
      /must write tool calls .*; got a call format without the tool's name/u,
    ],
    ["a fault", toolTemplates.named.replace("{{ call.function.name", "{{ nothing()"), /must write tool calls/u],
  ])("is none with %s", async (_, template, message) => {
    await expect(formOf(template)).rejects.toThrow(message);
  });

  it.each(kinds)("is what the constraint allows, and what the reader reads: %s", async (kind) => {
    const form = await formOf(toolTemplates[kind]);
    const answer = await written(kind, form);
    const asked = { tools: [weather, clock], parallel: true };
    for (const required of [true, false]) {
      const constraint = callsConstraint(form, specialTokens, { ...asked, required });
      const accepts = (text: string): boolean => {
        const matcher = compileConstraint(constraint, toolTokenizer).matcher(endTokens);
        return [...encodeWithSpecials(toolTokenizer, text)].every((id) => matcher.accept(id)) && matcher.isComplete;
      };
      expect([answer, accepts(answer)]).toEqual([answer, true]);
      expect(accepts("Hi there. ")).toBe(!required);
      expect(accepts(answer.replace("get_weather", "get_lost"))).toBe(false);
      expect(accepts(answer.replace('"days": 2', '"days": 4'))).toBe(false);
      expect(accepts(`${answer} `)).toBe(false);
      const twice = answer.replace(form.close, "") + (form.between ?? "") + answer.slice(form.open.length);
      if (form.between !== null) expect([twice, accepts(twice)]).toEqual([twice, true]);
      const begin = required ? "at once" : form.atStart ? "at start" : "anywhere";
      for (const size of [1, 3, 1000]) {
        const call = { name: "get_weather", json: '{"city": "Oslo", "days": 2}' };
        expect(piecesOf(form, answer, size, begin)).toEqual({ content: "", calls: [call], isWhole: true });
        if (form.between !== null) expect(piecesOf(form, twice, size, begin).calls).toEqual([call, call]);
        expect(piecesOf(form, answer.slice(0, answer.indexOf("days")), size, begin).isWhole).toBe(false);
        if (required) continue;
        expect(piecesOf(form, "Hi [there] <t ", size, begin)).toEqual({
          content: "Hi [there] <t ",
          calls: [],
          isWhole: true,
        });
        if (begin === "anywhere") {
          expect(piecesOf(form, `Hi <t \n${answer}`, size, begin)).toEqual({
            content: "Hi <t",
            calls: [call],
            isWhole: true,
          });
        }
      }
    }
  });
});
