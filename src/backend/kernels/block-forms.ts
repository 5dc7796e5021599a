/**
 * Quantized weights in blocks. The weights come from a GGUF file. In memory their bytes have another order, which
 * native/kernels/blocks/form.h describes. A panel consists of 16 rows.
 */

/** A block format. */
export interface BlockForm {
  /** Name of the encoding in GGUF files. */
  readonly name: string;
  /** Number of values of a row in one block of the file. */
  readonly fileValues: number;
  /** Number of bytes of one block of the file. */
  readonly fileBytes: number;
  /** Bits per value. */
  readonly bits: 4 | 5 | 6 | 8;
  /** Number that is subtracted from a value before the value is scaled. */
  readonly offset: number;
  /** How values are scaled; native/kernels/blocks/form.h describes this. */
  readonly scales: "offset" | "minimum" | "nested" | "halved";
}

const form = (
  name: string,
  [fileValues, fileBytes]: readonly [number, number],
  bits: BlockForm["bits"],
  scales: BlockForm["scales"],
  offset = 0,
): BlockForm => ({ name, fileValues, fileBytes, bits, offset, scales });

/** All block formats. A kernel gets a format as an index in this list. */
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

/** Values per block. The length of a row must be a multiple of this number. */
export const blockValues = 32;
/** Rows per panel. */
export const panelRows = 16;
/** Number of blocks of a row that form a group. One number scales all scales of a group. */
export const nestedBlocks = 8;
/** Bytes of a line. A line contains four values of each row of a panel. */
export const lineBytes = 64;

const scaleBytes = { offset: 32, minimum: 64, nested: 32, halved: 32 } as const;
const nestedBytes = { offset: 0, minimum: 0, nested: 64, halved: 32 } as const;

/** Offsets of the binary16 scales in a block of the file. */
export const scalePlaces: Readonly<Record<BlockForm["scales"], readonly number[]>> = {
  offset: [0],
  minimum: [0, 2],
  nested: [0, 2],
  halved: [208],
};

const formOf = (number: number): BlockForm => blockForms[number] ?? (blockForms[0] as BlockForm);

/** Offsets and sizes of a panel's parts in bytes, for rows of k values. */
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

/** Number of 32-bit words that `rows` rows of k values need in panels. */
export const panelWords = (number: number, rows: number, k: number): number =>
  (Math.ceil(rows / panelRows) * panelPlaces(formOf(number), k).bytes) / 4;

/** Number of 32-bit words that `rows` rows of k values need in the file's format, rounded up. */
export const fileWords = (number: number, rows: number, k: number): number => {
  const { fileValues, fileBytes } = formOf(number);
  return Math.ceil((rows * Math.ceil(k / fileValues) * fileBytes) / 4);
};
