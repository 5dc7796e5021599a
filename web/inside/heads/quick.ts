/** Decides for which models all heads are measured automatically. */
import type { InsideShape } from "../../../src/serve/studio/inside/protocol.ts";

/** If all passes together have at most this number of multiplications, they take at most a few seconds. */
const quickWork = 2e10;

/** Whether measuring all heads is fast enough to start it automatically. */
export const isQuick = ({ nLayer, nHead, parameters }: InsideShape, tokens: number): boolean =>
  nLayer * nHead * parameters * tokens <= quickWork;
