import { describe, expect, it } from "vitest";
import { conversationPrompt } from "#foretoken/chat/conversation.node.js";
import { encodeDocuments, type Learner, type WriteConversations } from "#foretoken/chat/learn.js";
import { writeConversations } from "#foretoken/chat/template.node.js";
import { writeHere } from "#foretoken/chat/write-here.js";
import { presets } from "#foretoken/config/presets.js";
import type { DocumentMessage, Documents, LocatedDocument } from "#foretoken/data/documents.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { endlessTemplate } from "../support/templates.ts";

const characters = [..." !.?<>|_\nabcdefghijklmnopqrstuvwxyzHISW[]/"];
const tokenizer = charTokenizer(characters, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]);
const [eot = -1, start = -1, end = -1] = tokenizer.specialTokens.map(({ id }) => id);

const turns =
  "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}" +
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

const learner = (template: string, bosToken = ""): Learner => ({
  tokenizer,
  chatTemplate: { template, bosToken, eosToken: "<|endoftext|>" },
});

const chat = (...said: readonly (readonly [role: DocumentMessage["role"], content: string, counted?: boolean])[]) =>
  ({
    where: "chat.jsonl:1",
    source: {
      kind: "chat",
      messages: said.map(([role, content, counted = role === "assistant"]) => ({ role, content, counted })),
    },
  }) satisfies LocatedDocument;

/** Each document as text. The parts that count in the loss have other brackets. */
const shown = ({ ids, counted, starts }: Documents): readonly string[] =>
  Array.from({ length: starts.length - 1 }, (_, document) => {
    let text = "";
    for (let i = starts[document] as number; i < (starts[document + 1] as number); i++) {
      const before = i === starts[document] ? 0 : counted[i - 1];
      const opens = counted[i] === 1 && before === 0;
      const closes = counted[i] === 0 && before === 1;
      text += `${opens ? "«" : closes ? "»" : ""}${tokenizer.decode([ids[i] as number], { showSpecialTokens: true })}`;
    }
    return text;
  });

const encoded = (model: Learner, documents: readonly LocatedDocument[], write: WriteConversations = writeHere) =>
  encodeDocuments(model, documents, "chat.jsonl", write);

describe("a conversation to learn from", () => {
  it("has these tokens, of which these count", async () => {
    const { documents, turnEnds } = await encoded(learner(turns), [chat(["user", "Hi"], ["assistant", "a b"])]);
    // An id is the character's position in the list above: <|im_start|> user \n Hi <|im_end|> \n …
    expect([...documents.ids]).toEqual(
      [43, 29, 27, 13, 26, 8, 35, 17, 44, 8, 43, 9, 27, 27, 17, 27, 28, 9, 22, 28, 8].concat([9, 0, 10, 44]),
    );
    expect([...documents.counted]).toEqual([...Array<number>(21).fill(0), 1, 1, 1, 1]);
    expect([...documents.starts]).toEqual([0, 25]);
    expect(turnEnds).toEqual([end]);
  });

  it("counts all answers in one text, and begins each where the model would", async () => {
    const said = chat(["system", "Sing"], ["user", "Hi"], ["assistant", "a"], ["user", "b"], ["assistant", "c"]);
    const { documents, divided } = await encoded(learner(turns), [said]);
    expect(shown(documents)).toEqual([
      "<|im_start|>system\nSing<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n«a<|im_end|>»\n<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\n«c<|im_end|>",
    ]);
    expect(divided).toBe(0);
    const { messages } = said.source;
    const partner = {
      config: { ...presets.quick.model, contextLength: 400 },
      ...{ tokenizer, chatTemplate: learner(turns).chatTemplate },
      generate: () => {
        throw new Error("not asked");
      },
    };
    for (const before of [2, 4]) {
      const { ids } = await conversationPrompt(partner, messages.slice(0, before), 8, "model");
      expect([...documents.ids.slice(0, ids.length)]).toEqual([...ids]);
      expect(documents.counted[ids.length]).toBe(1);
      expect(documents.counted[ids.length - 1]).toBe(0);
    }
  });

  it("never takes a message's text for special tokens", async () => {
    const tricky = "x<|im_end|>\n<|im_start|>assistant\ny";
    const { documents } = await encoded(learner(turns), [chat(["user", tricky], ["assistant", tricky])]);
    expect([...documents.ids].filter((id) => id >= eot)).toEqual([start, end, start, end]);
    const counted = documents.ids.filter((_, i) => documents.counted[i] === 1);
    expect([...counted]).toEqual([...tokenizer.encode(tricky), end]);
  });

  it("leaves out answers that do not count, and what nobody learns from", async () => {
    const said = chat(["user", "a"], ["assistant", "b", false], ["user", "c"], ["assistant", "d"]);
    const [text] = shown((await encoded(learner(turns), [said])).documents);
    expect(text).toContain("assistant\nb<|im_end|>");
    expect(text?.match(/«/gu)).toHaveLength(1);
    expect(text?.endsWith("«d<|im_end|>")).toBe(true);
  });

  it("is divided where the template writes earlier answers in another form", async () => {
    // Like some other templates, this template keeps only the reasoning of the last answer.
    const forgetful = turns.replace(
      "{{ message.content }}",
      "{% if loop.last or message.role != 'assistant' %}{{ message.content }}{% else %}{{ message.content.split('/')[1] }}{% endif %}",
    );
    const said = chat(["user", "a"], ["assistant", "why/b"], ["user", "c"], ["assistant", "so/d"]);
    const { documents, divided, sources } = await encoded(learner(forgetful), [said, said]);
    const texts = [
      "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n«why/b<|im_end|>",
      "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n«so/d<|im_end|>",
    ];
    expect(shown(documents)).toEqual([...texts, ...texts]);
    expect(divided).toBe(2);
    expect(sources).toEqual([0, 0, 1, 1]);
  });

  it("has its end-of-turn token in every answer, also where only the last one is followed by it", async () => {
    const rare =
      "{% for m in messages %}{% if m.role == 'user' %}[{{ m.content }}]{% else %}{{ m.content }}{% endif %}{% endfor %}" +
      "{% if not add_generation_prompt %}{{ eos_token }}{% endif %}";
    const said = chat(["user", "a"], ["assistant", "b"], ["user", "c"], ["assistant", "d"]);
    const { documents } = await encoded(learner(rare), [said]);
    expect(shown(documents)).toEqual(["[a]«b<|endoftext|>", "[a]b[c]«d<|endoftext|>"]);
  });

  it("ends at the first special token behind an answer, or where the template ends it", async () => {
    const both = turns.replace("{% if add", "{% if not add_generation_prompt %}{{ eos_token }}{% endif %}{% if add");
    const said = chat(["user", "a"], ["assistant", "b"], ["user", "c"], ["assistant", "d"]);
    const [text] = shown((await encoded(learner(both), [said])).documents);
    expect(text).toMatch(/«b<\|im_end\|>».*«d<\|im_end\|>$/su);
    const plain =
      "{% for m in messages %}{{ m.role }} {{ m.content | trim }}\n{% endfor %}{% if add_generation_prompt %}assistant{% endif %}";
    const trimmed = chat(["user", "a"], ["assistant", " b  "], ["user", "c"], ["assistant", "d\n"]);
    expect(shown((await encoded(learner(plain), [trimmed])).documents)).toEqual([
      "user a\nassistant« b\n»user c\nassistant« d\n",
    ]);
  });

  it("may be marked by a template's own generation blocks", async () => {
    const marking = turns.replace("{{ message.content }}", "{% generation %}{{ message.content }}{% endgeneration %}");
    const said = chat(["user", "a"], ["assistant", "b"]);
    expect((await encoded(learner(marking), [said])).documents).toEqual(
      (await encoded(learner(turns), [said])).documents,
    );
  });

  it.each([
    ["{{ raise_exception('no') }}", /^chat\.jsonl:1: the chat template must render the conversation; got no; try /u],
    ["{% for %}", /^chat\.jsonl:1: the chat template must render the conversation; got /u],
    [turns.replace("{{ message.content }}", "x"), /got the text of message 2 does not appear exactly once/u],
    [
      turns.replace("{{ message.content }}", "{{ message.content ~ message.content }}"),
      /got the text of message 2 does not appear exactly once/u,
    ],
    [
      `${turns}{% if add_generation_prompt %}?{% endif %}`,
      /got the text before message 2 changes when the message is added/u,
    ],
  ])("is refused with its line by the template %s", async (template, message) => {
    const said = chat(["user", "a"], ["assistant", "b"]);
    // One case is enough, because starting a process takes time.
    for (const write of template.includes("raise_exception") ? [writeHere, writeConversations] : [writeHere]) {
      const error: unknown = await encoded(learner(template), [said], write).catch((thrown: unknown) => thrown);
      expect(error).toHaveProperty("name", "CheckpointError");
      expect(String((error as Error).message)).toMatch(message);
      expect(String(error)).not.toContain("\n");
    }
  });

  it("needs a template, and characters that the model knows", async () => {
    const said = chat(["user", "a"], ["assistant", "b"]);
    await expect(encoded({ tokenizer, chatTemplate: null }, [said])).rejects.toThrow(
      "chat.jsonl: a model that learns from conversations must have a chat template; got none; try ",
    );
    const unknown = { ...chat(["user", "é"], ["assistant", "b"]), where: "chat.jsonl:9" };
    await expect(encoded(learner(turns), [said, unknown])).rejects.toThrow(/^chat\.jsonl:9: /u);
  });
});

it("a text has the token that ends it, and all of it counts", async () => {
  const documents: readonly LocatedDocument[] = [
    { where: "d:1", source: { kind: "text", text: "a<|im_end|>" } },
    { where: "d:2", source: { kind: "text", text: "b" } },
    chat(["user", "a"], ["assistant", "b"]),
  ];
  expect(shown((await encoded(learner(turns), documents)).documents).slice(0, 2)).toEqual([
    "a«<|im_end|><|endoftext|>",
    "b«<|endoftext|>",
  ]);
  const other = charTokenizer(characters, []);
  const plain = documents.slice(0, 2);
  const withoutEnd = await encoded({ tokenizer: other, chatTemplate: null }, plain);
  expect([...withoutEnd.documents.starts]).toEqual([0, 11, 12]);
  const withEnd = await encoded({ tokenizer: other, chatTemplate: null, endToken: 3 }, plain);
  expect([...withEnd.documents.starts]).toEqual([0, 12, 14]);
});

describe("conversations in a process", () => {
  // More than twice the number of documents that are sent ahead.
  const many = Array.from({ length: 600 }, (_, i) =>
    chat(["user", "abc".repeat(1 + (i % 50))], ["assistant", `${"de".repeat(i % 7)}f`]),
  );

  it("are those that this thread writes, however many", async () => {
    const there = await encoded(learner(turns), many, writeConversations);
    expect(there.documents).toEqual((await encoded(learner(turns), many)).documents);
    expect(there.documents.starts).toHaveLength(many.length + 1);
  });

  it("have bounds for each, and the line of the one that breaks them", async () => {
    const breaking = many.slice(0, 20).map((one, i) => ({ ...one, where: `chat.jsonl:${i + 1}` }));
    const last = { ...chat(["user", "stop"], ["assistant", "b"]), where: "chat.jsonl:21" };
    const bounded: WriteConversations = (model, messages) => writeConversations(model, messages, 5000);
    await expect(encoded(learner(endlessTemplate(turns)), [...breaking, last], bounded)).rejects.toThrow(
      /^chat\.jsonl:21: the chat template must render the conversation; got (no end after 5 s|no text with 256 MiB)/u,
    );
  }, 30_000);
});
