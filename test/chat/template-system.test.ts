import { expect, test } from "vitest";
import { systemInWords, systemOfTemplate } from "#foretoken/chat/template-system.node.js";
import { chatMl } from "../support/chats.ts";

const of = (template: string) => systemOfTemplate({ template, bosToken: "<s>", eosToken: "</s>" });

test("the system message that a template adds is what it writes without one", async () => {
  const first = "{% if messages[0].role != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}";
  expect(await of(first + chatMl)).toBe("Be kind.");
  expect(await of(`{{ bos_token }}${first}${chatMl}`)).toBe("Be kind.");
});

test("a template may add none, refuse system messages, or leave them out", async () => {
  expect(await of(chatMl)).toBeNull();
  const folded =
    "{% if messages[0].role == 'system' %}[{{ messages[0].content }}\n{{ messages[1].content }}]" +
    "{% else %}[{{ messages[0].content }}]{% endif %}";
  expect(await of(folded)).toBeNull();
  const refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}";
  expect(await of(refusing + chatMl)).toBeUndefined();
  expect(await of("{{ messages[-1].content }}")).toBeUndefined();
});

test("the words say what is not known", () => {
  expect(systemInWords("Be kind.")).toBe(
    "you have not set a system message; the model's chat template adds its own: Be kind.",
  );
  expect(systemInWords(null)).toBe("you have not set a system message");
  expect(systemInWords(undefined)).toContain("may add its own");
});
