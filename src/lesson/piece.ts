/**
 * Pieces of a lesson. A lesson yields one piece after the other, and a terminal or a page draws them. The lesson
 * computes all numbers of a piece.
 */

/** Part of a line of text. `emphasis` marks a part that the reader should notice. */
export interface Span {
  readonly text: string;
  readonly emphasis?: "strong" | "good" | "bad" | "muted";
}

/** A line or a paragraph: plain text, or spans with emphasis. */
export type Text = string | readonly Span[];

export interface Column {
  readonly title: string;
  readonly align: "left" | "right";
  /** Whether a cell that is too long is cut to one line. Otherwise the cell continues on further lines. */
  readonly cut?: true;
}

/** Bar of a chart. `value` is the length of the bar. `shown` is the text next to it. */
export interface Bar {
  readonly label: Text;
  readonly value: number;
  readonly shown: string;
  readonly emphasis?: Span["emphasis"];
}

/** Curve of losses by step. A chart can have several curves. */
export interface Curve {
  readonly name: string;
  readonly points: readonly { readonly step: number; readonly loss: number }[];
  /**
   * Whether each point is a loss on a whole text. Otherwise each point is the loss of a single batch, which varies from
   * step to step.
   */
  readonly measured?: true;
}

/** Interval of [0, 1) that begins where the previous interval ends. */
export interface Share {
  readonly text: string;
  readonly to: number;
}

/** Loss with which curves are compared. */
export interface Level {
  readonly name: string;
  readonly loss: number;
}

export type Piece =
  | { readonly kind: "title"; readonly part: string; readonly text: string }
  | { readonly kind: "heading"; readonly text: string }
  /** Paragraph, wrapped to the width. */
  | { readonly kind: "prose"; readonly text: Text }
  /** Lines that are not reflowed, such as an equation or a sample. A line that is too long is wrapped. */
  | { readonly kind: "lines"; readonly lines: readonly Text[]; readonly of?: "equation" | "output" | "sequence" }
  | { readonly kind: "table"; readonly columns: readonly Column[]; readonly rows: readonly (readonly Text[])[] }
  /** Bars on a scale from 0 to `maximum`. The default of `maximum` is the value of the longest bar. */
  | { readonly kind: "bars"; readonly bars: readonly Bar[]; readonly maximum?: number }
  /** Shares of 1 side by side. A mark below the shares shows a number in [0, 1). */
  | { readonly kind: "strip"; readonly shares: readonly Share[]; readonly at: number; readonly shown: string }
  /**
   * Rows of aligned cells, such as a text and the same text shifted. If the width is too small, the last cells are left
   * out.
   */
  | {
      readonly kind: "aligned";
      readonly rows: readonly { readonly name: string; readonly cells: readonly Text[] }[];
    }
  /** Texts side by side. If the width is too small, they are one below the other. */
  | { readonly kind: "columns"; readonly columns: readonly { readonly title: string; readonly text: string }[] }
  /**
   * A chart with curves that grow. A terminal redraws the chart with the same `id` in place. Output to a pipe contains
   * only the `final` chart. `levels` are horizontal lines for comparison, such as ln V.
   */
  | {
      readonly kind: "curves";
      readonly id: string;
      readonly curves: readonly Curve[];
      readonly levels: readonly Level[];
      readonly steps: number;
      /** Height of the plot in lines. A lesson sets it if the screen has little space. */
      readonly height?: number;
      readonly final: boolean;
    }
  /** End of a screen. A terminal waits for a key. Output to a pipe continues. */
  | { readonly kind: "pause" };

/** Running lesson. */
export type Lesson = AsyncGenerator<Piece, void, undefined>;
