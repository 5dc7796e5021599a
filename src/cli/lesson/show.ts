import type { Lesson, Piece } from "../../lesson/piece.ts";
import { liveRegion, type Screen } from "../display/drawing/live-region.ts";
import { cutText, rowsOf } from "../display/texts/width.ts";
import type { Style } from "../process/terminal.ts";
import type { Wish } from "./keys.ts";
import { renderPiece } from "./render.ts";

/** Lines for a given width. */
type Lines = (width: number) => readonly string[];

/** Lines that stay together on a screen, such as a heading and the piece below. */
interface Block {
  /** The blank line before the block, if something is above it. */
  readonly above: readonly string[];
  readonly heading: Lines;
  readonly body: Lines;
}

/** Stacks pieces with a blank line between them, and no blank line between a heading and its piece. */
const composer = (style: Style) => {
  let atTop = true;
  let held: Lines[] = [];
  return {
    /**
     * Adds `piece` and returns its block. For a heading it returns undefined, because a heading belongs to the next
     * block.
     */
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
    /** Starts a new screen: the next piece is at its top. */
    startScreen(): void {
      atTop = true;
    },
  };
};

/**
 * Writes a lesson as lines for a pipe or a file. The lines contain no pauses, and only the final state of growing
 * curves.
 */
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

/** Terminal of a lesson. The terminal's size may change at any time. */
export interface Stage extends Screen {
  /** Whether the terminal also rewraps the cursor's line. */
  readonly reflowsCursorLine: boolean;
  /** Checks the size of the terminal. If the size has changed, the listeners are called at once. */
  checkSize(): void;
  /** Calls `listener` after each change of size. The returned function stops these calls. */
  onResize(listener: () => void): () => void;
  /** Waits for a key with an action. */
  nextWish(): Promise<Wish>;
  /** Milliseconds. */
  now(): number;
}

const redrawMs = 100;
/** Maximum columns of a lesson. */
export const widest = 120;
const narrowest = 20;
/** Number of rows for the prompt of a pause. */
const promptRows = 1;
/**
 * Minimum rows for a piece below a heading and its prose. With fewer rows, the heading, the prose and the piece move to
 * the next screen.
 */
const leastSection = 5;

/** Prompt on its own row. The cursor stays after the prompt. */
const promptOf = ({ colors, symbols }: Style, width: number): string =>
  colors.inverse(cutText(` Enter: continue ${symbols.dot} q: end `, width));

/** Erases the prompt, even if the terminal has become too narrow for the prompt. */
const withoutPrompt = (prompt: string, { columns, reflowsCursorLine }: Stage): string => {
  const rows = reflowsCursorLine ? rowsOf(prompt, columns) : 1;
  return rows === 1 ? "\r\u001b[K" : `\r\u001b[${rows - 1}A\u001b[J`;
};

/** Shows a lesson screen by screen. Returns when the lesson ends or the user quits. */
export const showOnTerminal = async (lesson: Lesson, stage: Stage, style: Style): Promise<void> => {
  const region = liveRegion(stage);
  const page = composer(style);
  // Leave the last column free, because some terminals wrap after the last column.
  const width = (): number => Math.max(narrowest, Math.min(widest, stage.columns - 1));
  /** Blocks of the current screen, and their lines. */
  let blocks: Block[] = [];
  let shown: readonly string[] = [];
  /** The chart that is being redrawn in place. */
  let live: { readonly id: string; readonly drawnAt: number } | undefined;
  /** The prompt that is shown while waiting for a key. */
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

  /** Redraws the screen at its new size. If the screen is too small for all lines, only the last lines are drawn. */
  const redraw = (): void => {
    const all = blocks.flatMap((block, i) => linesOf(block, i === 0));
    if (prompt !== undefined) stage.write(withoutPrompt(prompt, stage));
    draw(all.slice(-Math.max(1, stage.rows - promptRows)), 0);
    if (prompt === undefined) return;
    prompt = promptOf(style, width());
    stage.write(prompt);
  };

  const waitsForContinue = async (): Promise<boolean> => {
    live = undefined;
    prompt = promptOf(style, width());
    stage.write(prompt);
    const wish = await stage.nextWish();
    // The blank line may scroll off the screen, so it is not counted in the rows.
    stage.write(withoutPrompt(prompt, stage) + (wish === "continue" ? "\n" : ""));
    prompt = undefined;
    region.settle();
    [blocks, shown] = [[], []];
    return wish === "continue";
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
        if (!(await waitsForContinue())) return;
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
      if (isFull && live === undefined && !(await waitsForContinue())) return;
      draw([...shown, ...linesOf(block, shown.length === 0)], shown.length);
      blocks.push(block);
      if (piece.kind === "curves" && !piece.final) live = { id: piece.id, drawnAt: stage.now() };
    }
  } finally {
    release();
  }
};
