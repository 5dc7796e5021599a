/** How a model with an adapter reads and ends conversations, where the adapter learned others than its model has. */
import { jsonText } from "../files/checkpoint-json.ts";
import type { KeptFacts } from "../files/pretrained-files.ts";
import type { ChatTemplate } from "../model/language-model.ts";
import { endsOf } from "../parse.ts";
import type { Pretrained } from "../pretrained.ts";

const [templateName, generationName] = ["chat_template.jinja", "generation_config.json"] as const;

/** Files of an adapter's folder that are read if they are there. */
export const adapterTextNames = [templateName, generationName] as const;

/** What these files say. */
export interface AdapterText {
  /** A chat template in Jinja; undefined: the model's own. */
  readonly template: string | undefined;
  /** Tokens that end a text, besides the model's. */
  readonly endTokens: readonly number[];
}

/** The files of an adapter that learned conversations. */
export const adapterTextFiles = ({ chatTemplate, endTokens }: KeptFacts): Readonly<Record<string, string>> =>
  chatTemplate === null
    ? {}
    : { [templateName]: chatTemplate.template, [generationName]: jsonText({ eos_token_id: endTokens }) };

/** @throws CheckpointError naming the file and its fault. */
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

/** A template with the tokens that begin and end a text where `before` was the model's. */
export const replacedTemplate = (
  { endOfText, specialTokens }: Pretrained["tokenizer"],
  before: ChatTemplate | null,
  template: string,
): ChatTemplate => {
  const eos = specialTokens.find(({ id }) => id === endOfText)?.name ?? "";
  const { bosToken, eosToken } = before ?? { bosToken: "", eosToken: eos };
  return { template, bosToken, eosToken };
};

/** The part of a model that these files change. */
type Speaker = Pick<Pretrained, "tokenizer" | "vocabSize" | "chatTemplate" | "endTokens">;

/** A model with an adapter in use. */
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

/** The text files of a merged model: the base's own, but for what the adapter's change. */
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
    // Where they differ, the file that is written anew says it.
    ...(generation !== undefined && isSameEnd ? { [generationName]: generation } : {}),
  };
};
