/** Forward passes over rows of many sequences at once. */
import { type Context, inferenceContext, type Rounded, withContext } from "../autograd/context.ts";
import { keptMemory } from "../autograd/kept-memory.ts";
import { type Memory, readTensor, reshape, type Tensor } from "../autograd/tensor.ts";
import type { RecordedCalls } from "../backend/backend.ts";
import { closeOnError } from "../core/errors/close-on-error.ts";
import type { HostArray } from "../core/tensors/dtype.ts";
import { sizeOf } from "../core/tensors/shape.ts";
import { type Model, uploadSegments } from "../models/model.ts";
import { logitsOf, transformer } from "../models/transformer.ts";
import { embedding } from "../ops/embedding.ts";
import { createSegments, type Segment } from "../ops/segments.ts";
import type { PageMemory } from "./page-memory.ts";
import { type SingleTables, singleTables } from "./single-tables.ts";

/** Consecutive positions of one sequence. */
export interface Piece {
  /** Tokens of these positions: one or more. */
  readonly ids: readonly number[];
  /** Number of positions before the piece. The pages in `pages` contain the keys and values of these positions. */
  readonly start: number;
  /**
   * Pages of all positions of the sequence, in order, from its first position. If null, there is no KV cache, and the
   * piece is the whole window of the sequence.
   */
  readonly pages: readonly number[] | null;
  /** The positions for which the caller needs logits. */
  readonly wants: "none" | "last" | "all";
}

/** Forward passes of one model. All passes use the pages of one memory. */
export interface Passes {
  /**
   * Computes all pieces in one pass. The bits of a piece do not depend on the other pieces. The bits also do not depend
   * on how the sequence is cut into pieces.
   * @returns for each piece, the logits [V] of each wanted position. The logits are valid until the next pass.
   */
  run(pieces: readonly Piece[]): PassLogits | Promise<PassLogits>;
  close(): void;
}

/** For each piece: the logits [V] of each wanted position. */
export type PassLogits = readonly (readonly Float32Array[])[];

/** Indices of the wanted rows of a pass, in order. */
const wantedRows = (pieces: readonly Piece[]): number[] => {
  const wanted: number[] = [];
  let row = 0;
  for (const { ids, wants } of pieces) {
    if (wants === "all") for (let i = 0; i < ids.length; i++) wanted.push(row + i);
    if (wants === "last") wanted.push(row + ids.length - 1);
    row += ids.length;
  }
  return wanted;
};

const segmentOf = ({ ids, start, pages }: Piece): Segment => ({
  length: ids.length,
  start,
  ...(pages === null ? {} : { pages }),
});

/** Splits `data` [wanted rows, V] into the rows of each piece. */
const rowsOfEach = (pieces: readonly Piece[], data: Float32Array, vocabSize: number): Float32Array[][] => {
  const all: Float32Array[][] = [];
  let row = 0;
  for (const { ids, wants } of pieces) {
    const count = wants === "none" ? 0 : wants === "last" ? 1 : ids.length;
    const rows: Float32Array[] = [];
    for (let i = 0; i < count; i++) rows.push(data.subarray(row * vocabSize, ++row * vocabSize));
    all.push(rows);
  }
  return all;
};

/** Uploads the tokens and positions of a pass. */
const upload = (context: Context, model: Model, pieces: readonly Piece[]) => {
  const segments = createSegments(context.memory, pieces.map(segmentOf));
  const ids = pieces.flatMap((piece) => piece.ids);
  return { segments, input: uploadSegments(context, model, ids, segments) };
};

const asFloat32 = (data: HostArray): Float32Array => (data instanceof Float32Array ? data : Float32Array.from(data));

/** The current rounded copies of the weights. Matrix products use these copies. */
const roundedNow = (model: Model): Rounded | null => model.rounded()?.of ?? null;

/**
 * A recorded pass over single positions. Every pass with the same number of positions makes the same kernel calls on
 * the same temporaries.
 */
interface Note {
  readonly memory: Memory;
  readonly calls: RecordedCalls;
  readonly tables: SingleTables;
  /** [1, pieces, V] */
  readonly logits: Tensor;
  /**
   * A view of the logits, if the backend can expose its memory. Without a view, each pass would copy megabytes into new
   * memory.
   */
  readonly shown: HostArray | undefined;
  /** Capacity of the recording's list of pages. */
  readonly pageRoom: number;
}

/** Minimum capacity of a list of pages. Most texts never need more. */
const leastRoom = 64;
/** Maximum number of recorded passes. Each recorded pass has its own temporaries. */
const mostNotes = 12;

/**
 * A pass of a new size is recorded only after `uses` passes of this size. Until then, a larger recorded pass is used if
 * its number of positions is at most (1 + `share`) times the needed number. A recording takes the time of a pass. So if
 * a batch shrinks text by text, only some sizes are recorded.
 */
const borrowed = { uses: 4, share: 1 };

/**
 * Maximum number of single positions in a pass with longer pieces: `ofPass` in total, or `ofPiece` on average per
 * piece. Above this limit it is faster to compute attention over whole pieces.
 */
const mostSingles = { ofPass: 8, ofPiece: 2 };

/**
 * Cuts the pieces into single positions. Returns null if this is not possible: a position needs no logits, a piece has
 * no pages, or there are too many positions.
 */
const singlesOf = (pieces: readonly Piece[]): readonly Piece[] | null => {
  let rows = 0;
  for (const { ids, wants, pages } of pieces) {
    if (pages === null || wants === "none" || (wants === "last" && ids.length > 1)) return null;
    rows += ids.length;
  }
  if (rows === pieces.length) return pieces;
  if (rows > Math.max(mostSingles.ofPass, mostSingles.ofPiece * pieces.length)) return null;
  // Single positions give the same result, because each layer stores the keys and values of all positions before
  // attention reads them.
  return pieces.flatMap(({ ids, start, pages }) =>
    ids.map((id, i): Piece => ({ ids: [id], start: start + i, pages, wants: "last" })),
  );
};

/** Passes over single positions, recorded once and replayed. */
interface NotedPasses {
  /** Returns logits [rows, V]. The first rows belong to the pieces. The caller ignores the padding rows after them. */
  run(pieces: readonly Piece[]): HostArray | Promise<HostArray>;
  close(): void;
}

const notedPasses = (model: Model, pages: PageMemory): NotedPasses => {
  const { backend, config, parameters } = model;
  const real = model.arena.storage.dtype === "float64" ? "float64" : "float32";
  const notes = new Map<number, Note>();
  /** The recording that was used most recently. */
  let last: Note | undefined;
  /** Number of pages at the time of the recordings. After the memory has grown, the recordings are invalid. */
  let notedPages = pages.pages;

  const drop = (count: number): void => {
    notes.get(count)?.memory.close();
    notes.delete(count);
  };
  const note = (pieces: readonly Piece[], pageRoom: number): Note => {
    const memory = keptMemory(backend, real);
    return closeOnError(
      () => memory.close(),
      () => {
        const context: Context = { backend, memory, tape: null, dropout: null, rounded: roundedNow(model) };
        const tables = singleTables(model, memory, pieces, pageRoom);
        const { input, segments } = tables;
        let logits: Tensor | undefined;
        const calls = backend.record?.(() => {
          const hidden = transformer(context, config, parameters, input, { segments, layers: pages.layers });
          logits = logitsOf(context, parameters, hidden);
        });
        if (calls === undefined || logits === undefined) throw new Error("recording a pass gave no calls or no logits");
        const shown = backend.view?.(logits.storage);
        const from = logits.offset;
        return { memory, calls, tables, logits, shown: shown?.subarray(from, from + sizeOf(logits.shape)), pageRoom };
      },
    );
  };
  const noteFor = (pieces: readonly Piece[]): Note => {
    const count = pieces.length;
    let listed = 0;
    for (const [i, { pages: own }] of pieces.entries()) if (own !== pieces[i - 1]?.pages) listed += own?.length ?? 0;
    const known = notes.get(count);
    if (known !== undefined && known.pageRoom >= listed) {
      if (known === last) return known;
      // Moves the recording to the end. The first recording is then the least recently used.
      notes.delete(count);
      notes.set(count, known);
      last = known;
      return known;
    }
    drop(count);
    const [oldest] = notes.keys();
    if (notes.size >= mostNotes && oldest !== undefined) drop(oldest);
    // Allocates additional entries for pages of the next tokens.
    const made = note(pieces, 2 ** Math.ceil(Math.log2(Math.max(leastRoom, listed + count))));
    notes.set(count, made);
    last = made;
    return made;
  };
  const close = (): void => {
    for (const count of [...notes.keys()]) drop(count);
  };
  /** For each size without a recording: the number of passes so far. */
  const uses = new Map<number, number>();
  /**
   * Adds copies of the last piece, up to the size of a larger recording. A copy computes and stores the same numbers
   * again, so it changes nothing.
   */
  const filled = (pieces: readonly Piece[]): readonly Piece[] => {
    const count = pieces.length;
    const last = pieces.at(-1);
    if (notes.has(count) || last === undefined) return pieces;
    const used = (uses.get(count) ?? 0) + 1;
    uses.set(count, used);
    if (used > borrowed.uses) return pieces;
    const larger = [...notes.keys()].filter((size) => size > count && size <= Math.ceil(count * (1 + borrowed.share)));
    if (larger.length === 0) return pieces;
    return [...pieces, ...new Array<Piece>(Math.min(...larger) - count).fill(last)];
  };

  return {
    run(asked) {
      if (notedPages !== pages.pages) close();
      notedPages = pages.pages;
      const pieces = filled(asked);
      const { calls, tables, logits, shown } = noteFor(pieces);
      tables.write(pieces);
      // Updates the rounded weights that recorded products read.
      roundedNow(model);
      model.adapter?.refresh();
      backend.replay?.(calls);
      // The view can be read at once: if a backend has views, all kernels have finished when `replay` returns.
      return shown ?? readTensor(backend, logits);
    },
    close,
  };
};

/** Computes the logits [1, wanted, V] of any pass, without a recording. */
const computedPass = (model: Model, pages: PageMemory, pieces: readonly Piece[]): Promise<HostArray> => {
  const { backend, config, parameters } = model;
  return withContext(inferenceContext(backend, roundedNow(model)), async (context) => {
    const { segments, input } = upload(context, model, pieces);
    const layers = segments.pages === null ? null : pages.layers;
    const hidden = transformer(context, config, parameters, input, { segments, layers }); // [1, rows, C]
    const wanted = wantedRows(pieces);
    if (wanted.length === 0) return new Float32Array(0);
    const [, rows, channels] = hidden.shape as readonly [number, number, number];
    const numbers = (): Tensor => context.memory.upload(Int32Array.from(wanted), [1, wanted.length]);
    // The embedding kernel gathers the wanted rows.
    const some =
      wanted.length === rows ? hidden : embedding(context, numbers(), reshape(hidden, [rows, channels]), null);
    return readTensor(backend, logitsOf(context, parameters, some));
  });
};

export const createPasses = (model: Model, pages: PageMemory): Passes => {
  const { backend } = model;
  const noted = backend.record === undefined ? null : notedPasses(model, pages);
  return {
    run(pieces) {
      const singles = noted === null ? null : singlesOf(pieces);
      const data = noted !== null && singles !== null ? noted.run(singles) : computedPass(model, pages, pieces);
      const rowsOf = (all: HostArray): PassLogits => rowsOfEach(pieces, asFloat32(all), model.vocabSize);
      return data instanceof Promise ? data.then(rowsOf) : rowsOf(data);
    },
    close() {
      noted?.close();
    },
  };
};
