import type { Samples } from "../sample.ts";
import { blank, edgeLengths, noise, rounded, spoiled } from "../sample.ts";

const { normals } = noise(9);

const gatedSizes = [[0, 3], ...edgeLengths.map((hidden) => [3, hidden] as const), [1, 1000], [90, 344]] as const;

/**
 * Gates at which GELU is close to 0 or to its argument. Also gates with a third power that overflows, and gates at
 * which the slope is 0.
 */
const gates = rounded([0, 1e-40, 1e-10, 0.5, 0.7524, 1, 3, 5, 8, 12.5, 14, 20, 100, 1e4, 1e15].flatMap((x) => [x, -x]));
const forms = [0, 1] as const;

export const geglu: Samples<"gegluForward" | "gegluBackward"> = {
  gegluForward: forms.flatMap((tanh) => [
    ...gatedSizes.map(([rows, hidden]) => ({
      name: `rows=${rows} F=${hidden} tanh=${tanh}`,
      numbers: { rows, hidden, tanh },
      buffers: { x: normals(2 * rows * hidden, 3), y: blank } as const,
    })),
    {
      name: `extremes, tanh=${tanh}`,
      numbers: { rows: 1, hidden: gates.length, tanh },
      buffers: { x: Float64Array.from([...gates, ...normals(gates.length)]), y: blank } as const,
    },
    {
      name: `NaN in gate and up, tanh=${tanh}`,
      numbers: { rows: 2, hidden: 35, tanh },
      buffers: { x: spoiled(normals(140), 20, 120), y: blank } as const,
    },
  ]),

  gegluBackward: forms.flatMap((tanh) => [
    ...gatedSizes.map(([rows, hidden]) => ({
      name: `rows=${rows} F=${hidden} tanh=${tanh}`,
      numbers: { rows, hidden, tanh },
      buffers: { x: normals(2 * rows * hidden, 3), dy: normals(rows * hidden), dx: blank } as const,
    })),
    {
      name: `extremes, tanh=${tanh}`,
      numbers: { rows: 1, hidden: gates.length, tanh },
      buffers: {
        x: Float64Array.from([...gates, ...normals(gates.length)]),
        dy: normals(gates.length),
        dx: blank,
      } as const,
    },
    {
      name: `NaN in gate, up and dy, tanh=${tanh}`,
      numbers: { rows: 2, hidden: 35, tanh },
      buffers: { x: spoiled(normals(140), 20, 120), dy: spoiled(normals(70), 5), dx: blank } as const,
    },
  ]),
};

const lengths = [0, ...edgeLengths, 1000, 4099, 30_011];
const values = rounded([0, 1e-40, 1e-30, 1e-10, 0.5, 1, 3, 1e4, 1e15].flatMap((x) => [x, -x]));

export const relu2: Samples<"relu2Forward" | "relu2Backward"> = {
  relu2Forward: [
    ...lengths.map((n) => ({ name: `n=${n}`, numbers: { n }, buffers: { x: normals(n, 2), y: blank } as const })),
    { name: "extremes", numbers: { n: values.length }, buffers: { x: values, y: blank } },
    { name: "NaN", numbers: { n: 70 }, buffers: { x: spoiled(normals(70), 37), y: blank } },
  ],

  relu2Backward: [
    ...lengths.map((n) => ({
      name: `n=${n}`,
      numbers: { n },
      buffers: { x: normals(n, 2), dy: normals(n), dx: blank } as const,
    })),
    {
      name: "extremes",
      numbers: { n: values.length },
      buffers: { x: values, dy: normals(values.length), dx: blank },
    },
    {
      name: "NaN in x and dy",
      numbers: { n: 70 },
      buffers: { x: spoiled(normals(70), 37), dy: spoiled(normals(70), 3), dx: blank },
    },
  ],
};
