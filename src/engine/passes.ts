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

/** Some positions of one sequence. */
export interface Piece {
  /** Tokens of these positions, one or more. */
  readonly ids: readonly number[];
  /** Positions before them, whose keys and values are in `pages`. */
  readonly start: number;
  /** Pages of all of them, in order; null: nothing is kept, the whole window of the sequence is in the pass. */
  readonly pages: readonly number[] | null;
  /** Of which positions logits are wanted. */
  readonly wants: "none" | "last" | "all";
}

/** Passes of one model over the pages of one memory. */
export interface Passes {
  /**
   * Computes all pieces in one pass. The bits of each do not depend on the others, nor on how a sequence is cut into pieces.
   * @returns of each piece its logits, [V] of each position that wants them: until the next pass.
   */
  run(pieces: readonly Piece[]): PassLogits | Promise<PassLogits>;
  close(): void;
}

/** Of each piece the logits [V] of each position that wants them. */
export type PassLogits = readonly (readonly Float32Array[])[];

/** The wanted rows of a pass, in order. */
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

/** Rows [n, V] of `data` for each piece. */
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

/** Uploads the tokens and places of a pass. */
const upload = (context: Context, model: Model, pieces: readonly Piece[]) => {
  const segments = createSegments(context.memory, pieces.map(segmentOf));
  const ids = pieces.flatMap((piece) => piece.ids);
  return { segments, input: uploadSegments(context, model, ids, segments) };
};

const asFloat32 = (data: HostArray): Float32Array => (data instanceof Float32Array ? data : Float32Array.from(data));

/** The weights that products read, as they are now. */
const roundedNow = (model: Model): Rounded | null => model.rounded()?.of ?? null;

/** A pass of single positions: as many of them make the same calls on the same temporaries. */
interface Note {
  readonly memory: Memory;
  readonly calls: RecordedCalls;
  readonly tables: SingleTables;
  /** [1, pieces, V] */
  readonly logits: Tensor;
  /** Where they are, if the backend shows its memory. A copy of megabytes would take memory that is new for each pass. */
  readonly shown: HostArray | undefined;
  /** Entries of the list of pages. */
  readonly pageRoom: number;
}

/** Entries of a list of pages at least: most texts never have more. */
const leastRoom = 64;
/** Notes of as many sizes of a batch are kept: each has temporaries of its own. */
const mostNotes = 12;

/**
 * A size is noted only once it was used so often: until then a note of a size up to `share` larger serves, where there is one. So a batch
 * that becomes smaller text by text does not note a pass for each size, which takes as long as a pass.
 */
const borrowed = { uses: 4, share: 1 };

/**
 * Positions of a pass at most that go one by one, where a piece has more than one, and of each piece: of more, attention is faster in
 * pieces.
 */
const mostSingles = { ofPass: 8, ofPiece: 2 };

/** The pieces cut into single positions; null if positions lack logits or pages, or are too many. */
const singlesOf = (pieces: readonly Piece[]): readonly Piece[] | null => {
  let rows = 0;
  for (const { ids, wants, pages } of pieces) {
    if (pages === null || wants === "none" || (wants === "last" && ids.length > 1)) return null;
    rows += ids.length;
  }
  if (rows === pieces.length) return pieces;
  if (rows > Math.max(mostSingles.ofPass, mostSingles.ofPiece * pieces.length)) return null;
  // In each layer the keys and values of all positions are stored before attention reads them.
  return pieces.flatMap(({ ids, start, pages }) =>
    ids.map((id, i): Piece => ({ ids: [id], start: start + i, pages, wants: "last" })),
  );
};

/** Passes of single positions, noted once and replayed. */
interface NotedPasses {
  /** Logits [rows, V]: those of the pieces, and rows after them that mean nothing. */
  run(pieces: readonly Piece[]): HostArray | Promise<HostArray>;
  close(): void;
}

const notedPasses = (model: Model, pages: PageMemory): NotedPasses => {
  const { backend, config, parameters } = model;
  const real = model.arena.storage.dtype === "float64" ? "float64" : "float32";
  const notes = new Map<number, Note>();
  /** The one that was used last. */
  let last: Note | undefined;
  /** The memory that the notes are for: as many pages. */
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
        if (calls === undefined || logits === undefined) throw new Error("a pass has calls and logits");
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
      // The one that was used longest ago is the first.
      notes.delete(count);
      notes.set(count, known);
      last = known;
      return known;
    }
    drop(count);
    const [oldest] = notes.keys();
    if (notes.size >= mostNotes && oldest !== undefined) drop(oldest);
    // With room for the pages of the next tokens.
    const made = note(pieces, 2 ** Math.ceil(Math.log2(Math.max(leastRoom, listed + count))));
    notes.set(count, made);
    last = made;
    return made;
  };
  const close = (): void => {
    for (const count of [...notes.keys()]) drop(count);
  };
  /** How often passes of a size that has no note were asked for. */
  const uses = new Map<number, number>();
  /** The pieces with as many copies of the last one as a note has room for; a copy computes and stores the same numbers again. */
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
      // What the recorded products read, as it is now.
      roundedNow(model);
      model.adapter?.refresh();
      backend.replay?.(calls);
      // Kernels are done when the call returns.
      return shown ?? readTensor(backend, logits);
    },
    close,
  };
};

/** Logits [1, wanted, V] of any pass. */
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
    // Rows are picked as an embedding picks them.
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
