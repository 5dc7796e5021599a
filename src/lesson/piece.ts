/**
 * The parts of a lesson. A lesson computes and yields pieces, one after the other; a terminal or a page decides how they
 * look. The lesson has computed every number in a piece.
 */

/** Part of a line of text. `emphasis`: the part for the reader to look at. */
export interface Span {
  readonly text: string;
  readonly emphasis?: "strong" | "good" | "bad" | "muted";
}

/** A line or a paragraph: plain text, or spans with emphasis. */
export type Text = string | readonly Span[];

export interface Column {
  readonly title: string;
  readonly align: "left" | "right";
  /** Its cells are samples of a text: one line each, cut where there is no room. Others go on in a further line. */
  readonly cut?: true;
}

/** One bar of a chart: `value` is its length, `shown` the number beside it. */
export interface Bar {
  readonly label: Text;
  readonly value: number;
  readonly shown: string;
  readonly emphasis?: Span["emphasis"];
}

/** A curve of losses by step, for a chart with several. */
export interface Curve {
  readonly name: string;
  readonly points: readonly { readonly step: number; readonly loss: number }[];
  /** Each point is the loss on a whole text; others are losses of single batches, which go up and down. */
  readonly measured?: true;
}

/** A part of [0, 1), from where the part before it ends. */
export interface Share {
  readonly text: string;
  readonly to: number;
}

/** A loss to compare curves with. */
export interface Level {
  readonly name: string;
  readonly loss: number;
}

export type Piece =
  | { readonly kind: "title"; readonly part: string; readonly text: string }
  | { readonly kind: "heading"; readonly text: string }
  /** Prose, wrapped to the width. */
  | { readonly kind: "prose"; readonly text: Text }
  /** Lines that keep their form, such as an equation or a sample; a line that is too long is wrapped. */
  | { readonly kind: "lines"; readonly lines: readonly Text[]; readonly of?: "equation" | "output" | "sequence" }
  | { readonly kind: "table"; readonly columns: readonly Column[]; readonly rows: readonly (readonly Text[])[] }
  /** Bars from 0 to `maximum` (default: the longest). */
  | { readonly kind: "bars"; readonly bars: readonly Bar[]; readonly maximum?: number }
  /** Shares end to end, and below them the place of a number in [0, 1), with the number. */
  | { readonly kind: "strip"; readonly shares: readonly Share[]; readonly at: number; readonly shown: string }
  /**
   * Rows of cells below each other, such as a text and the same text shifted; without room the last cells are dropped.
   */
  | {
      readonly kind: "aligned";
      readonly rows: readonly { readonly name: string; readonly cells: readonly Text[] }[];
    }
  /** Texts side by side if there is room, else one below the other. */
  | { readonly kind: "columns"; readonly columns: readonly { readonly title: string; readonly text: string }[] }
  /**
   * Curves that grow. A terminal redraws the chart of the same `id` in place; a pipe shows only the one that is `final`.
   * `levels` are lines to compare with, such as ln V.
   */
  | {
      readonly kind: "curves";
      readonly id: string;
      readonly curves: readonly Curve[];
      readonly levels: readonly Level[];
      readonly steps: number;
      /** Lines of the plot, if a lesson has little room. */
      readonly height?: number;
      readonly final: boolean;
    }
  /** A screen ends here, with more to come: a terminal waits for a key, a pipe continues. */
  | { readonly kind: "pause" };

/** A lesson as it runs. */
export type Lesson = AsyncGenerator<Piece, void, undefined>;
