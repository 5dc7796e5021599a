import { describe, expect, it } from "vitest";
import { partsOf, piecesInCode } from "../../web/chat/fences.ts";
import { defaults, queryOf, settingsIn } from "../../web/chat/settings-in-address.ts";
import { shortened } from "../../web/chat/shortened.ts";
import { whyOf } from "../../web/chat/talk/failure.ts";
import { conversationsOf, keptForm } from "../../web/chat/talk/kept-form.ts";
import {
  type Answer,
  type Conversation,
  openAiMessages,
  pathOf,
  placeOfNext,
  type Said,
  seedFor,
  versionsOf,
  withChosen,
  withMessage,
  withoutEmpty,
} from "../../web/chat/talk/tree.ts";

const empty: Conversation = { id: 1, side: "left", model: "m", system: "", messages: [], chosen: {} };
const said = (id: number, parent: number | null, text = `say ${id}`): Said => ({ kind: "said", id, parent, text });
const answer = (id: number, parent: number, changes: Partial<Answer> = {}): Answer => ({
  kind: "answer",
  id,
  parent,
  tokens: [{ id, text: `answer ${id}`, probability: 0.123456, candidates: [], isChosen: false }],
  state: "done",
  isCut: false,
  note: "",
  seed: id,
  leftOut: 0,
  paused: [],
  sharedWith: [],
  ...changes,
});
const failed = (id: number, parent: number): Answer => answer(id, parent, { state: "failed", tokens: [] });
const made = (...messages: readonly (Said | Answer)[]): Conversation => messages.reduce(withMessage, empty);
const idsOf = (conversation: Conversation): readonly number[] => pathOf(conversation).map(({ id }) => id);

describe("a conversation as a tree", () => {
  const branched = made(said(1, null), answer(2, 1), said(3, 2), answer(4, 3), answer(5, 1), said(6, 5), said(7, 2));

  it("shows the branch that was chosen last, and keeps all others", () => {
    expect(idsOf(branched)).toEqual([1, 5, 6]);
    const [, second] = pathOf(branched);
    const versions = second === undefined ? [] : versionsOf(branched, second);
    expect(versions.map(({ id }) => id)).toEqual([2, 5]);
    const [back] = versions;
    if (back === undefined) throw new Error("no first version");
    // The latest version comes after the first version.
    expect(idsOf(withChosen(branched, back))).toEqual([1, 2, 7]);
    expect(idsOf(withChosen(withChosen(branched, back), said(3, 2)))).toEqual([1, 2, 3, 4]);
  });

  it("has the next message behind the last answer, or in the place of one that got none", () => {
    expect(placeOfNext(empty)).toBeNull();
    expect(placeOfNext(made(said(1, null), answer(2, 1)))).toBe(2);
    expect(placeOfNext(made(said(1, null), answer(2, 1), said(3, 2)))).toBe(2);
    expect(placeOfNext(made(said(1, null), answer(2, 1), said(3, 2), failed(4, 3)))).toBe(2);
    expect(placeOfNext(made(said(1, null), failed(2, 1)))).toBeNull();
    // The model ended its turn immediately. An empty answer is also an answer.
    expect(placeOfNext(made(said(1, null), answer(2, 1, { tokens: [] })))).toBe(2);
  });

  it("gives each answer a seed of its own, and another answer the next one that is free", () => {
    const one = made(said(1, null), answer(2, 1, { seed: 5 }), said(3, 2));
    expect(seedFor(made(said(1, null)), 1, 5)).toBe(5);
    expect(seedFor(one, 1, 5)).toBe(6);
    expect(seedFor(one, 1, 9)).toBe(9);
    expect(seedFor(one, 3, 5)).toBe(6);
  });

  it("replaces an answer that has no text", () => {
    const one = withoutEmpty(made(said(1, null), failed(2, 1), answer(3, 1)), 1);
    expect(one.messages.map(({ id }) => id)).toEqual([1, 3]);
  });

  it("is in OpenAI's form without answers that have no text", () => {
    const path = pathOf(made(said(1, null), answer(2, 1), said(3, 2), failed(4, 3)));
    expect(openAiMessages("Sing.", path)).toEqual([
      { role: "system", content: "Sing." },
      { role: "user", content: "say 1" },
      { role: "assistant", content: "answer 2" },
      { role: "user", content: "say 3" },
    ]);
    expect(openAiMessages("", [])).toEqual([]);
  });
});

describe("conversations as they are kept", () => {
  const candidates = [{ id: 9, text: "nine", probability: 0.5, logProb: Math.log(0.5) }];
  const token = { id: 3, text: "three", probability: 0.25, candidates, isChosen: false, isEnd: true };
  const one = made(said(1, null), answer(2, 1, { tokens: [token] }), said(3, 2), answer(4, 3, { state: "writing" }));

  it("come back as they were, but for an answer that was being written", () => {
    const kept = JSON.parse(JSON.stringify(keptForm([one], true)));
    const [back] = conversationsOf(kept);
    expect(back?.messages.slice(0, 3)).toEqual(one.messages.slice(0, 3));
    expect(back?.messages[3]).toMatchObject({ state: "stopped", tokens: [{ text: "answer 4", probability: 0.1235 }] });
  });

  it("lose the candidates where all is too much", () => {
    const [back] = conversationsOf(keptForm([one], false));
    expect(back?.messages[1]).toMatchObject({ tokens: [{ id: 3, probability: 0.25, candidates: [] }] });
  });
});

describe("code in an answer", () => {
  const fenced = "So:\n\n```ts\nf(1);\n```\nThat (all) is *it*.";

  it("is the text between fences, and no prose", () => {
    expect(partsOf(fenced)).toEqual([
      { isCode: false, text: "So:\n\n" },
      { isCode: true, text: "```ts\nf(1);\n```\n" },
      { isCode: false, text: "That (all) is *it*." },
    ]);
    for (const prose of ["1. Danube (Europäe)\n2. Nile (Nordia)\n3. Rhône (Rhône)", "```f(1)``` is in a line", ""])
      expect(partsOf(prose).some(({ isCode }) => isCode)).toBe(false);
  });

  it("reaches to the end of an answer that is being written, and over shorter fences", () => {
    expect(partsOf("~~~\na\n```\nb").map(({ isCode }) => isCode)).toEqual([true]);
    expect(partsOf("````\n```\n````\nb").map(({ text }) => text)).toEqual(["````\n```\n````\n", "b"]);
    expect(partsOf("```\na\n```\n```\nb\n```").map(({ text }) => text)).toEqual(["```\na\n```\n", "```\nb\n```"]);
  });

  it("is a whole answer without fences that looks like code", () => {
    const text = "def add(x, y):\n    return x + y";
    expect(partsOf(text)).toEqual([{ isCode: true, text }]);
  });

  it("is the same code where the answer is shown as tokens", () => {
    const pieces = ["So", ":\n\n", "```", "ts\n", "f(1", ");", "\n", "```\n", "", "That", " (all", ") is *it*."];
    expect(pieces.join("")).toBe(fenced);
    expect(pieces.filter((_, i) => piecesInCode(pieces)[i])).toEqual(["```", "ts\n", "f(1", ");", "\n", "```\n"]);
    expect(piecesInCode([])).toEqual([]);
  });
});

describe("a shortened text", () => {
  it("ends after a word, with an ellipsis", () => {
    const system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";
    expect(shortened(system)).toBe("You are a helpful AI assistant named SmolLM, trained by…");
    expect(shortened(`${"ab ".repeat(18)}abc,\nabcdef`)).toBe(`${"ab ".repeat(18)}abc…`);
    // The word ends exactly at the limit.
    expect(shortened(`${"a".repeat(60)} b`)).toBe(`${"a".repeat(60)}…`);
    expect(shortened("a".repeat(61))).toBe(`${"a".repeat(60)}…`);
    expect(shortened("👩‍🚀".repeat(40))).not.toContain("\ufffd");
  });

  it("is in one line, and whole if it is short", () => {
    expect(shortened(" Answer in\none  sentence. ")).toBe("Answer in one sentence.");
    expect(shortened("")).toBe("");
  });
});

describe("the chat's address", () => {
  it("leads back to every setting, and names nothing that is as usual", () => {
    const settings = { system: "Sing & dance.", temperature: 0, topP: 0.5, topK: 4, maxNewTokens: 9, seed: 3 };
    const query = new URLSearchParams(
      Object.entries(queryOf(settings)).flatMap(([key, value]) => (value === null ? [] : [[key, value]])),
    );
    expect([...query.keys()]).toEqual(["system", "temperature", "top-p", "top-k", "tokens", "seed"]);
    expect(settingsIn(query, defaults)).toEqual(settings);
    expect(Object.values(queryOf(defaults)).every((value) => value === null)).toBe(true);
    expect(settingsIn(new URLSearchParams("model=a"), settings)).toBeUndefined();
    expect(settingsIn(new URLSearchParams("seed=8&tokens=0"), settings)).toEqual({
      ...defaults,
      system: "Sing & dance.",
      seed: 8,
    });
  });
});

describe("why there is no answer", () => {
  it.each([
    [
      { error: "model: must have a chat template; got none; try the playground" },
      "The model must have a chat template; got none. Try the playground.",
    ],
    [
      { error: "x: must be known", characters: ["ж"] },
      "The model never saw this character of the message: “ж”. Leave it out.",
    ],
    [{ error: "The studio’s server does not answer." }, "The studio’s server does not answer."],
  ])("is in sentences: %j", (failure, words) => {
    expect(whyOf(failure)).toBe(words);
  });
});
