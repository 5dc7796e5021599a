/**
 * y[b, t, :] = E[id[b, t], :] + P[start + t, :]        (in segments: P at each row's place)
 *
 *   ids [B, T]   E [V, C]   P [contextLength, C]   →   y [B, T, C]
 *   dE[v, :] = Σ of dy over the places of v     dP[t, :] = Σ over b of dy
 *
 * As torch.nn.functional.embedding, twice and summed (GPT-2's learned positions).
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { formatShape } from "../core/tensors/shape.ts";
import type { Segments } from "./segments.ts";

/** `positions` null: token vectors alone. `at`: the position of the first column, or the segments that T is divided into. */
export const embedding = (
  context: Context,
  ids: Tensor,
  tokens: Tensor,
  positions: Tensor | null,
  at: number | Segments = 0,
): Tensor => {
  const { backend, memory, tape } = context;
  const [batch, time] = ids.shape;
  const [vocabSize, channels] = tokens.shape;
  if (batch === undefined || time === undefined || vocabSize === undefined || channels === undefined) {
    throw new ShapeError({
      where: "embedding",
      must: "ids must be [B, T] and the table [V, C]",
      got: `${formatShape(ids.shape)} and ${formatShape(tokens.shape)}`,
    });
  }
  const start = typeof at === "number" ? at : 0;
  const end = typeof at === "number" ? at + time : Math.max(...at.list.map((one) => one.start + one.length));
  const positionRows = positions?.shape[0] ?? end;
  const rows = batch * time;
  if (end > positionRows || (typeof at !== "number" && at.rows !== rows)) {
    throw new ShapeError({
      where: "embedding",
      must: `positions must lie within the context of ${positionRows}, one for each of ${rows} rows`,
      got: typeof at === "number" ? `${start} to ${end - 1}` : `${at.rows} in segments up to ${end - 1}`,
    });
  }
  const sizes = { rows, time: typeof at === "number" ? time : 1, channels, vocabSize, start, positionRows };
  const places = typeof at === "number" ? null : at.places;
  const y = memory.allocate([batch, time, channels]);
  backend.run("embeddingForward", { ids, tokens, positions, places, y, ...sizes });

  tape?.record(y, positions === null ? [tokens] : [tokens, positions], [], (dy) => {
    const dTokens = tape.accumulator(tokens);
    const dPositions = positions === null ? null : tape.accumulator(positions);
    backend.run("embeddingBackward", { ids, places, dy, dTokens, dPositions, ...sizes });
  });
  return y;
};
