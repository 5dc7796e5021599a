/**
 * y[b, t, :] = s·E[id[b, t], :] + P[t, :]        (in segments: P at each row's place)
 *
 *   ids [B, T]   E [V, C]   P [contextLength, C]   →   y [B, T, C]
 *   dE[v, :] = s·Σ of dy over the places of v     dP[t, :] = Σ over b of dy
 *
 * The op is the sum of two embeddings, as torch.nn.functional.embedding computes them. GPT-2 learns P.
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { formatShape } from "../core/tensors/shape.ts";
import { blockRows } from "./blocks.ts";
import { scaleBy } from "./op.ts";
import { endOf, type Segments } from "./segments.ts";

export interface EmbeddingOptions {
  /** Segments into which T is divided. Default null: each row is a sequence. */
  readonly segments?: Segments | null;
  /** s, the factor of token vectors. Position vectors are not multiplied. Default 1. */
  readonly scale?: number | undefined;
}

/** Returns the vectors of token ids. If `positions` is null, no position vectors are added. */
export const embedding = (
  context: Context,
  ids: Tensor,
  tokens: Tensor,
  positions: Tensor | null,
  { segments = null, scale = 1 }: EmbeddingOptions = {},
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
  const end = segments === null ? time : endOf(segments);
  const positionRows = positions?.shape[0] ?? end;
  const rows = batch * time;
  if (end > positionRows || (segments !== null && segments.rows !== rows)) {
    throw new ShapeError({
      where: "embedding",
      must: `each of ${rows} rows must have a position within the context of ${positionRows}`,
      got: segments === null ? `0 to ${end - 1}` : `segments with ${segments.rows} rows and positions up to ${end - 1}`,
    });
  }
  const sizes = { rows, time: segments === null ? time : 1, channels, vocabSize, start: 0, positionRows };
  const places = segments?.places ?? null;
  const y = memory.allocate([batch, time, channels]);
  if (tokens.blocks === undefined) {
    backend.run("embeddingForward", { ids, tokens, positions, places, y, ...sizes, scale });
  } else if (positions === null) {
    blockRows(context, ids, tokens, y, rows);
    scaleBy(backend, y, scale);
  } else throw new ShapeError({ where: "embedding", must: "a table in blocks must be used without learned positions" });

  tape?.record(y, positions === null ? [tokens] : [tokens, positions], [], (dy) => {
    const dTokens = tape.accumulator(tokens);
    const dPositions = positions === null ? null : tape.accumulator(positions);
    backend.run("embeddingBackward", { ids, places, dy, dTokens, dPositions, ...sizes, scale });
  });
  return y;
};
