import { pageRows } from "../backend/kernels/sizes.ts";
import type { ModelConfig } from "../models/config.ts";
import { layerOf } from "../models/layers.ts";

/** What a text needs in memory where every layer has a window. */
export interface WindowPages {
  /** The window: positions that a position sees. */
  readonly size: number;
  /** Positions of a piece at most. */
  readonly mostPositions: number;
  /** Pages of the positions that those of a piece see, and of their own, at most; and the first one, which may stay. */
  readonly most: number;
}

const mostPositions = 512;

/** null where a layer sees all positions before: then all pages stay. */
export const windowPages = (config: ModelConfig): WindowPages | null => {
  if (config.window === undefined) return null;
  let size = 0;
  for (let i = 0; i < config.nLayer; i++) {
    const { window } = layerOf(config, i);
    if (window === null) return null;
    size = Math.max(size, window);
  }
  // They may begin on the last row of a page.
  const seen = Math.ceil((size - 1 + mostPositions) / pageRows) + 1;
  return { size, mostPositions, most: seen + 1 };
};

/** Whole pages before the window of position `next`: nothing from there on reads them. */
export const pagesBefore = ({ size }: WindowPages, next: number): number =>
  Math.floor(Math.max(0, next - size + 1) / pageRows);
