/** Chat templates for tool calls in the formats of well-known models, and tiny models with these templates. */
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { freshModel } from "#foretoken/models/model.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { smallGroupedRun } from "./runs.ts";

const chatMlTools =
  "{%- if tools %}<|im_start|>system\nTools:{% for tool in tools %}\n{{ tool | tojson }}{% endfor %}<|im_end|>\n{% endif -%}";
const opening = "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif -%}";

/** JSON between marks, as in Hermes and Qwen. */
const hermes = `${chatMlTools}{%- for message in messages -%}
{%- if message.role == 'tool' %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ message.role }}{% if message.content %}{{ '\\n' + message.content }}{% endif %}{% for call in message.tool_calls or [] %}{{ '\\n<tool_call>' }}
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endif -%}
{%- endfor -%}${opening}`;

/** Hermes' format with an empty thought before each answer. The marks are special tokens. */
const thinking = `${chatMlTools}{%- for message in messages %}<|im_start|>{{ message.role }}
{% if message.role == 'assistant' %}<think>

</think>

{% endif %}{{ message.content }}{% for call in message.tool_calls or [] %}{% if message.content or not loop.first %}{{ '\\n' }}{% endif %}<|call|>{{ call.function | tojson }}<|done|>{% endfor %}<|im_end|>
{% endfor -%}${opening}`;

/** JSON without marks and with only one call, as in Llama 3.1. */
const bare = `${chatMlTools}{%- for message in messages %}<|im_start|>{{ message.role }}
{% if message.tool_calls %}{% if message.tool_calls | length != 1 %}{{ raise_exception('one call at a time') }}{% endif -%}
{%- set call = message.tool_calls[0].function %}{"name": "{{ call.name }}", "parameters": {{ call.arguments | tojson }}}
{%- else %}{{ message.content }}{% endif %}<|im_end|>
{% endfor -%}${opening}`;

/** A list of calls after a special token, with ids of nine characters, as in Mistral. */
const list = `{%- for message in messages %}
{%- if message.role == 'user' %}{% if loop.last and tools %}[TOOLS]{{ tools | tojson }}[/TOOLS]{% endif %}[INST] {{ message.content }}[/INST]
{%- elif message.role == 'tool' %}[RESULT]{{ message.tool_call_id }} {{ message.content }}[/RESULT]
{%- elif message.tool_calls %}[TOOL_CALLS] [
{%- for call in message.tool_calls %}
{%- if call.id | length != 9 %}{{ raise_exception('ids must have nine characters') }}{% endif %}
{{- '{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) + ', "id": "' + call.id + '"}' }}
{%- if not loop.last %}, {% endif %}{% endfor %}]<|im_end|>
{%- else %} {{ message.content }}<|im_end|>{% endif %}
{%- endfor %}`;

/** The tool's name in a mark. After the mark, only the arguments. */
const named = `${chatMlTools}{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}{% for call in message.tool_calls or [] %}<function={{ call.function.name }}>{{ call.function.arguments | tojson }}</function>{% endfor %}<|im_end|>
{% endfor -%}${opening}`;

export const toolTemplates = { hermes, thinking, bare, list, named } as const;
export type ToolTemplate = keyof typeof toolTemplates;

const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));

/** Letters, and the special tokens of all templates. */
export const toolTokenizer = charTokenizer(
  ["\n", ...printable],
  ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|call|>", "<|done|>", "[TOOL_CALLS]"],
);

export const toolChatTemplate = (template: string) => ({ template, bosToken: "", eosToken: "<|endoftext|>" });

/** A tiny untrained model with a template. */
export const openToolModel = async (template: string): Promise<LanguageModel> => {
  const changes = { model: { contextLength: 2048 } };
  const { model: config } = resolveConfig("shakespeare", [smallGroupedRun, changes]);
  const backend = await openReference();
  const model = freshModel(backend, { ...config, dropout: 0 }, toolTokenizer.vocabSize, 1);
  const endTokens = toolTokenizer.specialTokens.slice(2, 3).map(({ id }) => id);
  const chatTemplate = toolChatTemplate(template);
  return languageModel(model, toolTokenizer, () => backend.close(), { chatTemplate, endTokens });
};

export const weather = {
  name: "get_weather",
  description: "The weather of a city.",
  parameters: {
    type: "object",
    properties: { city: { enum: ["Oslo", 'A "B"'] }, days: { type: "integer", minimum: 1, maximum: 3 } },
    required: ["city", "days"],
    additionalProperties: false,
  },
} as const;

export const clock = { name: "clock", description: "The time." } as const;

/** Writes the model into a directory. */
export const writeToolModel = async (directory: string, template: string): Promise<void> => {
  const lm = await openToolModel(template);
  await savePretrained(directory, lm);
  await lm.close();
};
