import type { Lesson, Piece } from "../../lesson/piece.ts";
import { liveRegion, type Screen } from "../display/drawing/live-region.ts";
import type { Style } from "../terminal.ts";
import type { Wish } from "./keys.ts";
import { renderPiece } from "./render.ts";

/** Lines that belong together on a screen: a piece under its heading. */
interface Block {
  /** A blank line, where something stands above. */
  readonly above: readonly string[];
  readonly heading: readonly string[];
  readonly body: readonly string[];
}

/** Puts pieces below each other: a blank line between two, and a heading directly above its piece. */
const composer = (style: Style) => {
  let atTop = true;
  let held: string[] = [];
  return {
    /** Adds `piece`; undefined for a heading, which waits for its piece. */
    add(piece: Piece, width: number): Block | undefined {
      const body = renderPiece(piece, width, style);
      if (piece.kind === "title") {
        held.push(...body, "");
        return undefined;
      }
      if (piece.kind === "heading") {
        held.push(...body);
        return undefined;
      }
      const block = { above: atTop ? [] : [""], heading: held, body };
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
    const block = page.add(piece, width);
    if (block !== undefined)
      write([...block.above, ...block.heading, ...block.body].map((line) => `${line}\n`).join(""));
  }
};

/** The terminal of a lesson. The user may change its size at any time. */
export interface Stage extends Screen {
  readonly rows: number;
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

/** Shows a lesson screen by screen; returns when it is over or the user ends it. */
export const showOnTerminal = async (lesson: Lesson, stage: Stage, style: Style): Promise<void> => {
  const region = liveRegion(stage);
  const page = composer(style);
  // One column less than the terminal's: a full last column makes some terminals wrap.
  const width = (): number => Math.max(narrowest, Math.min(widest, stage.columns - 1));
  let rowsUsed = 0;
  /** The chart that is redrawn in place. */
  let live: { readonly id: string; readonly drawnAt: number } | undefined;

  const settle = (): void => {
    region.settle();
    live = undefined;
  };

  const goesOn = async (): Promise<boolean> => {
    const { colors, symbols } = style;
    const prompt = `Enter: go on ${symbols.dot} q: end`;
    settle();
    stage.write(`${colors.inverse(` ${prompt} `.slice(0, width()))}`);
    const wish = await stage.nextWish();
    // The blank line is visible in scrolled text; it may leave the screen, so it takes none of the rows.
    stage.write(wish === "go on" ? "\r\u001b[K\n" : "\r\u001b[K");
    rowsUsed = 0;
    return wish === "go on";
  };

  for await (const piece of lesson) {
    if (piece.kind === "pause") {
      if (!(await goesOn())) return;
      page.startScreen();
      continue;
    }
    if (piece.kind === "curves" && live?.id === piece.id) {
      if (!piece.final && stage.now() - live.drawnAt < redrawMs) continue;
      region.draw(renderPiece(piece, width(), style));
      live = { id: piece.id, drawnAt: stage.now() };
      if (piece.final) settle();
      continue;
    }
    const block = page.add(piece, width());
    if (block === undefined) continue;
    const text = [...block.heading, ...block.body];
    const following = block.heading.length > 0 && piece.kind === "prose" ? leastSection : 0;
    const rows = block.above.length + text.length + following;
    const isFull = rowsUsed > 0 && rowsUsed + rows > stage.rows - promptRows;
    if (isFull && live === undefined && !(await goesOn())) return;
    const above = rowsUsed === 0 ? [] : block.above;
    rowsUsed += above.length + text.length;
    if (piece.kind === "curves") {
      region.print([...above, ...block.heading]);
      region.draw(block.body);
      live = { id: piece.id, drawnAt: stage.now() };
      if (piece.final) settle();
    } else region.print([...above, ...text]);
  }
  settle();
};
