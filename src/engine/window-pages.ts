import { pageRows } from "../backend/kernels/sizes.ts";
import type { ModelConfig } from "../models/config.ts";
import { layerOf } from "../models/layers.ts";
import { mostPositions } from "./pace.ts";

/** Memory that a text needs if every layer has an attention window. */
export interface WindowPages {
  /** Size of the largest window: the number of positions that a position sees, including itself. */
  readonly size: number;
  /** Maximum number of positions of a piece. */
  readonly mostPositions: number;
  /**
   * Maximum number of pages in use. These are the pages of a piece, the pages that the piece sees, and the first page,
   * which may stay.
   */
  readonly most: number;
}

/** Null if a layer sees all earlier positions, because all pages stay. */
export const windowPages = (config: ModelConfig): WindowPages | null => {
  if (config.window === undefined) return null;
  let size = 0;
  for (let i = 0; i < config.nLayer; i++) {
    const { window } = layerOf(config, i);
    if (window === null) return null;
    size = Math.max(size, window);
  }
  // The positions may begin on the last row of a page, so they may need one additional page.
  const seen = Math.ceil((size - 1 + mostPositions) / pageRows) + 1;
  return { size, mostPositions, most: seen + 1 };
};

/** Number of whole pages before the window of position `next`. Later positions do not read them. */
export const pagesBefore = ({ size }: WindowPages, next: number): number =>
  Math.floor(Math.max(0, next - size + 1) / pageRows);
