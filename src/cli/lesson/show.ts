import type { Lesson, Piece } from "../../lesson/piece.ts";
import { liveRegion, type Screen } from "../display/drawing/live-region.ts";
import { cutText, rowsOf } from "../display/texts/width.ts";
import type { Style } from "../process/terminal.ts";
import type { Wish } from "./keys.ts";
import { renderPiece } from "./render.ts";

/** Lines of a width. */
type Lines = (width: number) => readonly string[];

/** Lines that belong together on a screen: a piece under its heading. */
interface Block {
  /** A blank line, where something stands above. */
  readonly above: readonly string[];
  readonly heading: Lines;
  readonly body: Lines;
}

/** Puts pieces below each other: a blank line between two, and a heading directly above its piece. */
const composer = (style: Style) => {
  let atTop = true;
  let held: Lines[] = [];
  return {
    /** Adds `piece`; undefined for a heading, which waits for its piece. */
    add(piece: Piece): Block | undefined {
      const body: Lines = (width) => renderPiece(piece, width, style);
      if (piece.kind === "title") {
        held.push((width) => [...body(width), ""]);
        return undefined;
      }
      if (piece.kind === "heading") {
        held.push(body);
        return undefined;
      }
      const headings = held;
      const heading: Lines = (width) => headings.flatMap((lines) => lines(width));
      const block = { above: atTop ? [] : [""], heading, body };
      held = [];
      atTop = false;
      return block;
    },
    /** The next piece is at the top of a screen. */
    startScreen(): void {
      atTop = true;
    },
  };
};

/** Writes lines for a pipe or a file: no pauses, and of growing curves only the last. */
export const showPlain = async (
  lesson: Lesson,
  write: (text: string) => void,
  width: number,
  style: Style,
): Promise<void> => {
  const page = composer(style);
  for await (const piece of lesson) {
    if (piece.kind === "pause" || (piece.kind === "curves" && !piece.final)) continue;
    const block = page.add(piece);
    if (block === undefined) continue;
    const lines = [...block.above, ...block.heading(width), ...block.body(width)];
    write(lines.map((line) => `${line}\n`).join(""));
  }
};

/** The terminal of a lesson. The user may change its size at any time. */
export interface Stage extends Screen {
  /** Whether the line of the cursor is wrapped anew, too. */
  readonly reflowsCursorLine: boolean;
  /** Calls the listeners at once if the size has changed. */
  checkSize(): void;
  /** Calls `listener` whenever the size has changed; returns a function that ends it. */
  onResize(listener: () => void): () => void;
  /** Waits for a key. */
  nextWish(): Promise<Wish>;
  /** Milliseconds. */
  now(): number;
}

const redrawMs = 100;
/** Most columns of a lesson. */
export const widest = 120;
const narrowest = 20;
/** The pause's own line. */
const promptRows = 1;
/** Rows for the piece under a heading and its prose; without them all goes to the next screen. */
const leastSection = 5;

/** A row of its own, and the cursor after it. */
const promptOf = ({ colors, symbols }: Style, width: number): string =>
  colors.inverse(cutText(` Enter: go on ${symbols.dot} q: end `, width));

/** Takes the prompt away, also where the terminal has become too narrow for it. */
const withoutPrompt = (prompt: string, { columns, reflowsCursorLine }: Stage): string => {
  const rows = reflowsCursorLine ? rowsOf(prompt, columns) : 1;
  return rows === 1 ? "\r\u001b[K" : `\r\u001b[${rows - 1}A\u001b[J`;
};

/** Shows a lesson screen by screen; returns when it is over or the user ends it. */
export const showOnTerminal = async (lesson: Lesson, stage: Stage, style: Style): Promise<void> => {
  const region = liveRegion(stage);
  const page = composer(style);
  // One column less than the terminal's: a full last column makes some terminals wrap.
  const width = (): number => Math.max(narrowest, Math.min(widest, stage.columns - 1));
  /** The blocks of this screen, and its lines. */
  let blocks: Block[] = [];
  let shown: readonly string[] = [];
  /** The chart that is redrawn in place. */
  let live: { readonly id: string; readonly drawnAt: number } | undefined;
  /** The prompt that waits for a key. */
  let prompt: string | undefined;

  const draw = (lines: readonly string[], unchanged: number): void => {
    region.draw(lines, unchanged);
    shown = lines;
  };

  const linesOf = ({ above, heading, body }: Block, isFirst: boolean): readonly string[] => [
    ...(isFirst ? [] : above),
    ...heading(width()),
    ...body(width()),
  ];

  /** The screen anew in its present size; of a screen that has become too small, the end. */
  const redraw = (): void => {
    const all = blocks.flatMap((block, i) => linesOf(block, i === 0));
    if (prompt !== undefined) stage.write(withoutPrompt(prompt, stage));
    draw(all.slice(-Math.max(1, stage.rows - promptRows)), 0);
    if (prompt === undefined) return;
    prompt = promptOf(style, width());
    stage.write(prompt);
  };

  const goesOn = async (): Promise<boolean> => {
    live = undefined;
    prompt = promptOf(style, width());
    stage.write(prompt);
    const wish = await stage.nextWish();
    // The blank line is visible in scrolled text; it may leave the screen, so it takes none of the rows.
    stage.write(withoutPrompt(prompt, stage) + (wish === "go on" ? "\n" : ""));
    prompt = undefined;
    region.settle();
    [blocks, shown] = [[], []];
    return wish === "go on";
  };

  const drawChart = (piece: Extract<Piece, { kind: "curves" }>): void => {
    const block = blocks.pop();
    if (block === undefined) return;
    const unchanged = Math.max(0, shown.length - block.body(width()).length);
    const body: Lines = (wide) => renderPiece(piece, wide, style);
    blocks.push({ ...block, body });
    draw([...shown.slice(0, unchanged), ...body(width())], unchanged);
    live = piece.final ? undefined : { id: piece.id, drawnAt: stage.now() };
  };

  const release = stage.onResize(redraw);
  try {
    for await (const piece of lesson) {
      stage.checkSize();
      if (piece.kind === "pause") {
        if (!(await goesOn())) return;
        page.startScreen();
        continue;
      }
      if (piece.kind === "curves" && live?.id === piece.id) {
        if (piece.final || stage.now() - live.drawnAt >= redrawMs) drawChart(piece);
        continue;
      }
      const block = page.add(piece);
      if (block === undefined) continue;
      const following = piece.kind === "prose" && block.heading(width()).length > 0 ? leastSection : 0;
      const rows = shown.length + linesOf(block, false).length + following;
      const isFull = shown.length > 0 && rows > stage.rows - promptRows;
      if (isFull && live === undefined && !(await goesOn())) return;
      draw([...shown, ...linesOf(block, shown.length === 0)], shown.length);
      blocks.push(block);
      if (piece.kind === "curves" && !piece.final) live = { id: piece.id, drawnAt: stage.now() };
    }
  } finally {
    release();
  }
};
