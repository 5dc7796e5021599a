/** The addresses of `inside/`. */
import type { Hono } from "hono";
import type { z } from "zod";
import type { Bodies } from "../../http/bodies.ts";
import { jsonAnswer, readJson } from "../../http/json.ts";
import {
  attentionMaps,
  type InsideParts,
  lensReadings,
  neighbours,
  patches,
  proposePair,
  tokensOf,
} from "./answers.ts";
import { attentionSchema, lensSchema, neighboursSchema, pairSchema, patchSchema, tokensSchema } from "./protocol.ts";

/** Limits for texts, and for lists of layers, heads and places. */
const body = { maxBytes: 2 ** 21, maxValues: 16_384, maxKeys: 2048 } as const;

export const addInsideRoutes = (api: Hono, parts: InsideParts & { readonly bodies: Bodies }): void => {
  const answer = <Request extends { readonly model: string }>(
    path: string,
    schema: z.ZodType<Request>,
    answerOf: (
      parts: InsideParts,
      request: Omit<Request, "model"> & { readonly place: string },
      signal: AbortSignal,
    ) => Promise<unknown>,
  ): void => {
    api.post(`/inside/${path}`, async (c) => {
      const { model, ...request } = await readJson(c.req.raw, schema, body, parts.bodies);
      const place = await parts.models.placeOf(model);
      return jsonAnswer(await answerOf(parts, { ...request, place }, c.req.raw.signal));
    });
  };
  answer("text", tokensSchema, tokensOf);
  answer("attention", attentionSchema, attentionMaps);
  answer("lens", lensSchema, lensReadings);
  answer("neighbours", neighboursSchema, neighbours);
  answer("pair", pairSchema, proposePair);
  answer("patch", patchSchema, patches);
};
