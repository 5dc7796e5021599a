import { DataError } from "../../../core/errors/errors.ts";
import type { HostKernels } from "./host-args.ts";

const checkedId = (ids: Int32Array, row: number, vocabSize: number): number => {
  const id = ids[row] as number;
  if (id >= 0 && id < vocabSize) return id;
  throw new DataError({
    where: "embedding",
    must: `ids must be in [0, vocabSize = ${vocabSize})`,
    got: `${id} in row ${row}`,
  });
};

interface Places {
  readonly time: number;
  readonly start: number;
  readonly positionRows: number;
  readonly places: Int32Array | null;
}

const placeOf = ({ time, start, positionRows, places }: Places, row: number): number => {
  const place = places === null ? start + (row % time) : (places[row] as number);
  if (place >= 0 && place < positionRows) return place;
  throw new DataError({
    where: "embedding",
    must: `places must be in [0, positionRows = ${positionRows})`,
    got: `${place} in row ${row}`,
  });
};

export const embedding: HostKernels<"embeddingForward" | "embeddingBackward"> = {
  embeddingForward(args) {
    const { ids, tokens, positions, y, rows, channels, vocabSize, scale } = args;
    for (let r = 0; r < rows; r++) {
      const token = checkedId(ids, r, vocabSize) * channels;
      const position = placeOf(args, r) * channels;
      for (let c = 0; c < channels; c++) {
        const added = positions === null ? 0 : (positions[position + c] as number);
        y[r * channels + c] = scale * (tokens[token + c] as number) + added;
      }
    }
  },

  embeddingBackward(args) {
    const { ids, dy, dTokens, dPositions, rows, channels, vocabSize, scale } = args;
    for (let r = 0; r < rows; r++) {
      const token = checkedId(ids, r, vocabSize) * channels;
      const position = placeOf(args, r) * channels;
      for (let c = 0; c < channels; c++) {
        const g = dy[r * channels + c] as number;
        if (dTokens !== null) dTokens[token + c] = (dTokens[token + c] as number) + scale * g;
        if (dPositions !== null) dPositions[position + c] = (dPositions[position + c] as number) + g;
      }
    }
  },
};
