/** Which models have all their heads measured without being asked. */
import type { InsideShape } from "../../../src/serve/studio/inside/protocol.ts";

/** Multiplications of all passes together that take a second or a few. */
const quickWork = 2e10;

/** Whether all heads of a model are measured so fast that nobody need ask for it. */
export const isQuick = ({ nLayer, nHead, parameters }: InsideShape, tokens: number): boolean =>
  nLayer * nHead * parameters * tokens <= quickWork;
