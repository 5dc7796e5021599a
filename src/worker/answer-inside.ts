/** Answers the calls of `callsInside` in the model's thread. */
import type { CallContext } from "../core/remote/server.ts";
import { attentionOf } from "../inside/attention.ts";
import { lensOf } from "../inside/lens.ts";
import { neighboursOf } from "../inside/neighbours.ts";
import { patched } from "../inside/patch.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import type { InsideRequest } from "./model-inside.ts";

/** Answers one call. */
export const answerInside = (lm: LanguageModel, request: InsideRequest, { signal }: CallContext): Promise<unknown> => {
  switch (request.method) {
    case "attentionOf":
      return attentionOf(lm, request.text, request.options);
    case "lensOf":
      return lensOf(lm, request.text, { ...request.options, signal });
    case "neighboursOf":
      return neighboursOf(lm, request.token, request.options);
    case "patched":
      return patched(lm, request.options);
    default:
      return request satisfies never;
  }
};
