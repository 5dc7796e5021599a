/** Draws pictures of the inside of a model. The page loads this file only when a picture is saved. */
import { type ArcsPicture, arcsPicture, attentionPicture, type MapPicture } from "./attention-picture.ts";
import { type HeatPicture, heatPicture, type NeighboursPicture, neighboursPicture } from "./heat-picture.ts";
import { type LensPicture, lensPicture } from "./lens-picture.ts";

export type Picture = LensPicture | MapPicture | ArcsPicture | HeatPicture | NeighboursPicture;

/** The picture as an SVG file. */
export const drawPicture = (picture: Picture): string => {
  switch (picture.kind) {
    case "lens":
      return lensPicture(picture);
    case "attention map":
      return attentionPicture(picture);
    case "attention arcs":
      return arcsPicture(picture);
    case "heat map":
      return heatPicture(picture);
    case "neighbours":
      return neighboursPicture(picture);
    default:
      return picture satisfies never;
  }
};
