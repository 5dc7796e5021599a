/**
 * Weights in blocks of few bits, as GGUF files have them, in the order in which kernels read them: native/kernels/blocks/form.h.
 * Rows of 16 lie together as a panel.
 */

/** A form of blocks. */
export interface BlockForm {
  /** The name of the encoding in GGUF files. */
  readonly name: string;
  /** Values of a row that share all of their scales in a file. */
  readonly fileValues: number;
  /** Bytes of these in a file. */
  readonly fileBytes: number;
  /** Bits of a value. */
  readonly bits: 4 | 5 | 6 | 8;
  /** Taken off a value before it is scaled. */
  readonly offset: number;
  /** How values are scaled: see form.h. */
  readonly scales: "offset" | "minimum" | "nested" | "halved";
}

const form = (
  name: string,
  [fileValues, fileBytes]: readonly [number, number],
  bits: BlockForm["bits"],
  scales: BlockForm["scales"],
  offset = 0,
): BlockForm => ({ name, fileValues, fileBytes, bits, offset, scales });

/** All forms; kernels name one by its place. */
export const blockForms: readonly BlockForm[] = [
  form("Q4_0", [32, 18], 4, "offset", 8),
  form("Q4_1", [32, 20], 4, "minimum"),
  form("Q5_0", [32, 22], 5, "offset", 16),
  form("Q5_1", [32, 24], 5, "minimum"),
  form("Q8_0", [32, 34], 8, "offset", 128),
  form("Q4_K", [256, 144], 4, "nested"),
  form("Q5_K", [256, 176], 5, "nested"),
  form("Q6_K", [256, 210], 6, "halved", 32),
];

/** Values of a block: rows are multiples of it. */
export const blockValues = 32;
/** Rows of a panel. */
export const panelRows = 16;
/** Blocks of a row that share a scale of scales. */
export const nestedBlocks = 8;
/** Four values of each row of a panel. */
export const lineBytes = 64;

const scaleBytes = { offset: 32, minimum: 64, nested: 32, halved: 32 } as const;
const nestedBytes = { offset: 0, minimum: 0, nested: 64, halved: 32 } as const;

/** Bytes of a block in a file at which its scales in binary16 begin. */
export const scalePlaces: Readonly<Record<BlockForm["scales"], readonly number[]>> = {
  offset: [0],
  minimum: [0, 2],
  nested: [0, 2],
  halved: [208],
};

const formOf = (number: number): BlockForm => blockForms[number] ?? (blockForms[0] as BlockForm);

/** Bytes of a panel's parts for rows of k values. */
export const panelPlaces = ({ bits, scales }: BlockForm, k: number) => {
  const blocks = Math.floor(k / blockValues);
  const valueBytes = lineBytes * bits;
  const scalesFrom = blocks * valueBytes;
  const nestedFrom = scalesFrom + blocks * scaleBytes[scales];
  const end = nestedFrom + Math.ceil(blocks / nestedBlocks) * nestedBytes[scales];
  return {
    ...{ valueBytes, scalesFrom, scaleBytes: scaleBytes[scales], nestedFrom, nestedBytes: nestedBytes[scales] },
    bytes: Math.ceil(end / lineBytes) * lineBytes,
  };
};

/** Words of 32 bits of `rows` rows of k values in panels. */
export const panelWords = (number: number, rows: number, k: number): number =>
  (Math.ceil(rows / panelRows) * panelPlaces(formOf(number), k).bytes) / 4;

/** Words of 32 bits of `rows` rows of k values as a file has them, the last one filled. */
export const fileWords = (number: number, rows: number, k: number): number => {
  const { fileValues, fileBytes } = formOf(number);
  return Math.ceil((rows * Math.ceil(k / fileValues) * fileBytes) / 4);
};
