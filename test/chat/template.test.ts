import { describe, expect, it } from "vitest";
import type { ChatMessage } from "#foretoken/chat/messages.js";
import { renderTemplate } from "#foretoken/chat/template.node.js";

const messages: readonly ChatMessage[] = [
  { role: "user", content: "Hi" },
  { role: "assistant", content: "Hello" },
  { role: "user", content: "Who?" },
];

const rendered = (template: string, given = messages): Promise<string> =>
  renderTemplate({ template, bosToken: "<s>", eosToken: "</s>" }, given, "model");

// The ChatML format, which many models use, with a default system message.
const chatMl =
  "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}{{ '<|im_start|>system\nBe kind<|im_end|>\n' }}{% endif %}" +
  "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

describe("a chat template", () => {
  it("writes a conversation out, up to the answer", async () => {
    const turn = (role: string, content: string): string => `<|im_start|>${role}\n${content}<|im_end|>\n`;
    expect(await rendered(chatMl)).toBe(
      `${turn("system", "Be kind")}${turn("user", "Hi")}${turn("assistant", "Hello")}${turn("user", "Who?")}<|im_start|>assistant\n`,
    );
    expect(await rendered(chatMl, [{ role: "system", content: "S" }, ...messages])).toContain(turn("system", "S"));
  });

  it("knows the tokens that begin and end a text", async () => {
    expect(await rendered("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}")).toBe("<s>Hi</s>");
  });

  it.each([
    ["refuses the messages", "{{ raise_exception('Roles must\nalternate') }}", /got Roles must\\nalternate/],
    ["cannot be read", "{% for %}", /model: the chat template must render the conversation; got .+; try another model/],
    ["names what is not there", "{{ nothing() }}", /must render the conversation/],
    ["has no end", "{% for i in range(1000000000) %}{% endfor %}", /must render the conversation; got /],
    [
      "writes too much",
      "{% set ns = namespace(x='0123456789') %}{% for i in range(20) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
      /more than \d+ bytes/,
    ],
  ])(
    "that %s is one line",
    async (_, template, message) => {
      const error: unknown = await rendered(template).catch((thrown: unknown) => thrown);
      expect(error).toHaveProperty("name", "CheckpointError");
      expect(String(error)).toMatch(message);
      expect(String(error)).not.toContain("\n");
    },
    20_000,
  );

  it("cannot reach the program", async () => {
    for (const template of ["{{ messages.constructor.constructor('return process')() }}", "{{ process.exit(3) }}"]) {
      const outcome = await rendered(template).catch((error: Error) => error.message);
      expect(outcome).not.toContain("[object process]");
    }
  });
});
