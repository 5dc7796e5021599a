/** Buttons that save a picture of a view as a file. */
import { saveSvg } from "../../chart/save.ts";
import type { Picture } from "./draw.ts";

const formats = ["SVG", "PNG"] as const;

export interface SavePictureProps {
  /** Name of the picture, such as `the lens`. */
  readonly name: string;
  /** Name of the model, for the names of the files. */
  readonly model: string;
  /** Whether a part of the picture is still loading. Default: false. */
  readonly isWaiting?: boolean;
  /** Called when the user saves the picture. */
  readonly picture: () => Picture;
}

export const SavePicture = ({ name, model, isWaiting = false, picture }: SavePictureProps) => (
  <span class="chart-save picture-save">
    {formats.map((format) => (
      <button
        key={format}
        type="button"
        class="quiet"
        disabled={isWaiting}
        aria-label={`Save ${name} as ${format}`}
        onClick={() => {
          const shown = picture();
          void import("./draw.ts").then(({ drawPicture }) =>
            saveSvg(drawPicture(shown), `${model} ${name.replace(/^the /u, "")}`, format),
          );
        }}
      >
        {format}
      </button>
    ))}
  </span>
);
