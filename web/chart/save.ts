/** Saves a chart as a file. */
import type { Curve } from "./curve.ts";
import { type Figure, svgOf } from "./svg.ts";

export type FigureFormat = "SVG" | "PNG" | "CSV";

/** File name that is valid on every file system. */
export const fileName = (name: string, ending: string): string =>
  `${name.replace(/[^\p{L}\p{M}\p{N}._-]+/gu, "-").replace(/^[-.]+|-+$/g, "") || "chart"}.${ending}`;

export const download = (blob: Blob, name: string): void => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser reads the URL after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
};

const cell = (text: string): string => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** CSV with all values of the curves, not only the drawn points. */
export const csvOf = (curves: readonly Curve[], xLabel: string): string => {
  const lines = [["curve", xLabel, "value"].map(cell).join(",")];
  for (const { label, x, y, length } of curves) {
    for (let i = 0; i < length; i++) lines.push(`${cell(label)},${x[i]},${Number.isFinite(y[i]) ? y[i] : ""}`);
  }
  return `${lines.join("\n")}\n`;
};

const pngOf = async (svg: string): Promise<Blob> => {
  const image = new Image();
  const url = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  try {
    image.src = url;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = 2 * image.width;
    canvas.height = 2 * image.height;
    const context = canvas.getContext("2d");
    if (context === null) throw new Error("the browser cannot draw pictures");
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => {
      canvas.toBlob((blob) =>
        blob === null ? reject(new Error("the browser could not make a picture")) : resolve(blob),
      );
    });
  } finally {
    URL.revokeObjectURL(url);
  }
};

/** Saves a picture. PNG files have twice its size in pixels. */
export const saveSvg = async (svg: string, name: string, format: "SVG" | "PNG"): Promise<void> => {
  const file = format === "SVG" ? new Blob([svg], { type: "image/svg+xml" }) : await pngOf(svg);
  download(file, fileName(name, format.toLowerCase()));
};

export const saveFigure = async (figure: Figure, name: string, format: FigureFormat): Promise<void> => {
  if (format === "CSV")
    download(new Blob([csvOf(figure.curves, figure.xLabel)], { type: "text/csv" }), fileName(name, "csv"));
  else await saveSvg(svgOf(figure), name, format);
};
