/** Chat template and end tokens of an adapter that learned conversations in another format than its base model. */
import { jsonText } from "../files/checkpoint-json.ts";
import type { KeptFacts } from "../files/pretrained-files.ts";
import type { ChatTemplate } from "../model/language-model.ts";
import { endsOf } from "../parse.ts";
import type { Pretrained } from "../pretrained.ts";

const [templateName, generationName] = ["chat_template.jinja", "generation_config.json"] as const;

/** Optional files of an adapter's folder. */
export const adapterTextNames = [templateName, generationName] as const;

/** Contents of the optional files of an adapter. */
export interface AdapterText {
  /** Chat template in Jinja. Undefined: the base model's template is used. */
  readonly template: string | undefined;
  /** Tokens that end a text, in addition to the base model's end tokens. */
  readonly endTokens: readonly number[];
}

/** The text files of an adapter that learned conversations. */
export const adapterTextFiles = ({ chatTemplate, endTokens }: KeptFacts): Readonly<Record<string, string>> =>
  chatTemplate === null
    ? {}
    : { [templateName]: chatTemplate.template, [generationName]: jsonText({ eos_token_id: endTokens }) };

/** @throws CheckpointError naming the file and the problem. */
export const parseAdapterText = (
  files: Readonly<Record<string, Uint8Array | undefined>>,
  where: string,
): AdapterText => {
  const template = files[templateName];
  return {
    template: template === undefined ? undefined : new TextDecoder().decode(template),
    endTokens: endsOf(files[generationName], `${where}/${generationName}`) ?? [],
  };
};

/** Makes a chat template from `template`. The BOS and EOS tokens come from the model's own template `before`. */
export const replacedTemplate = (
  { endOfText, specialTokens }: Pretrained["tokenizer"],
  before: ChatTemplate | null,
  template: string,
): ChatTemplate => {
  const eos = specialTokens.find(({ id }) => id === endOfText)?.name ?? "";
  const { bosToken, eosToken } = before ?? { bosToken: "", eosToken: eos };
  return { template, bosToken, eosToken };
};

/** Fields of a model that an adapter's text files may change. */
type Speaker = Pick<Pretrained, "tokenizer" | "vocabSize" | "chatTemplate" | "endTokens">;

/** Returns the model with the changes from the text files of the adapter in use. */
export const withAdapterText = <Model extends Speaker>(model: Model, text: AdapterText | undefined): Model => {
  if (text === undefined) return model;
  const { tokenizer, vocabSize, chatTemplate } = model;
  const { template } = text;
  const ends = [...model.endTokens, ...text.endTokens].filter((id) => id < vocabSize);
  return {
    ...model,
    chatTemplate: template === undefined ? chatTemplate : replacedTemplate(tokenizer, chatTemplate, template),
    endTokens: [...new Set(ends)],
  };
};

/** Text files of a merged model. Files that the adapter does not change come from the base model. */
export const mergedTextFiles = (
  base: Pick<Pretrained, "chatTemplate" | "endTokens"> & { readonly textFiles: Readonly<Record<string, Uint8Array>> },
  merged: Pick<Pretrained, "chatTemplate" | "endTokens">,
): Readonly<Record<string, Uint8Array | string>> => {
  const { [generationName]: generation, ...others } = base.textFiles;
  const template = merged.chatTemplate?.template;
  const isSameTemplate = template === undefined || template === base.chatTemplate?.template;
  const isSameEnd = merged.endTokens.every((id) => base.endTokens.includes(id));
  return {
    ...others,
    ...(isSameTemplate ? {} : { [templateName]: template }),
    // If the end tokens differ, leave out the base model's generation config. The caller writes a new generation
    // config.
    ...(generation !== undefined && isSameEnd ? { [generationName]: generation } : {}),
  };
};
