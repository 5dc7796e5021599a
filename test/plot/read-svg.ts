/** Reads numbers from a chart as a person does: by comparing positions with the labels of the axes. */

/** The value of a label, such as "1.5k", "2e-4" or "1,500". */
const numberOf = (label: string): number => {
  const [, number = "", unit = ""] = /^([-\d.,e+]+)([kMGT]?)$/u.exec(label) ?? [];
  const scale = { "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 }[unit];
  return Number(number.replaceAll(",", "")) * (scale ?? Number.NaN);
};

/** The labels of an axis as [position, value]. */
const labelsOf = (svg: string, axis: "x" | "y"): readonly (readonly [place: number, value: number])[] =>
  [...svg.matchAll(new RegExp(`<text x="([\\d.]+)" y="([\\d.]+)" class="soft ${axis}"[^>]*>([^<]+)<`, "gu"))].map(
    // The middle of a label is at the height of its tick, a few units above the baseline of its letters.
    ([, x, y, label]) => [axis === "x" ? Number(x) : Number(y) - 5, numberOf(label ?? "")],
  );

export interface ReadChart {
  /** Converts a position in the drawing to a value. */
  readonly x: (place: number) => number;
  readonly y: (place: number) => number;
  /** Value of one unit of the drawing. On a logarithmic axis, this is a logarithm. */
  readonly unit: { readonly x: number; readonly y: number };
  /** Numbers of the paths that have the given class, path by path. The legend is left out. */
  readonly paths: (name: string) => readonly (readonly (readonly [x: number, y: number])[])[];
}

export const readChart = (svg: string, log = false): ReadChart => {
  const axis = (name: "x" | "y", isLog: boolean) => {
    const labels = labelsOf(svg, name);
    const [first, last] = [labels[0], labels.at(-1)];
    if (first === undefined || last === undefined || first === last) throw new Error(`${name}: fewer than two labels`);
    const [to, from] = isLog ? [Math.log, Math.exp] : [(value: number) => value, (value: number) => value];
    const slope = (to(last[1]) - to(first[1])) / (last[0] - first[0]);
    return { of: (place: number) => from(to(first[1]) + (place - first[0]) * slope), unit: Math.abs(slope) };
  };
  const [x, y] = [axis("x", false), axis("y", log)];
  return {
    x: x.of,
    y: y.of,
    unit: { x: x.unit, y: y.unit },
    paths: (name) =>
      [...svg.matchAll(new RegExp(`<path class="${name}" d="([^"h]+)"`, "gu"))].map(([, d = ""]) =>
        [...d.matchAll(/[ML]([\d.-]+) ([\d.-]+)/gu)].map(([, px, py]) => [x.of(Number(px)), y.of(Number(py))] as const),
      ),
  };
};
