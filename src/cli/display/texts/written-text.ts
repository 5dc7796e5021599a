/** Describes a written model in lines for people. */
import type { GgufFallback } from "../../../pretrained/gguf/write/contents.ts";
import { formatBytes, formatCount } from "./format.ts";

/** One line for each kind of fallback. */
const fallbackLines = (fallbacks: readonly GgufFallback[]): readonly string[] => {
  const groups = new Map<string, GgufFallback[]>();
  for (const fallback of fallbacks) {
    const { wanted, encoding, width } = fallback;
    const key = `${wanted} ${encoding} ${width}`;
    groups.set(key, [...(groups.get(key) ?? []), fallback]);
  }
  return [...groups.values()].map((group) => {
    const [first] = group;
    const one = group.length === 1;
    const what = one ? `${first?.tensor} is` : `${formatCount(group.length)} matrices are`;
    const rows = `rows of ${first?.width} weights cannot be divided into blocks of ${first?.wanted}`;
    const why = `${what} in ${first?.encoding} instead of ${first?.wanted}: ${one ? "its" : "their"} ${rows}`;
    return first?.wanted === "q4_k" ? `${why}; --to q4_1 keeps 4 bits for such rows` : why;
  });
};

/** Facts about a written model. */
interface WrittenModel {
  readonly bytes: number;
  readonly parameters: number;
  readonly fallbacks: readonly GgufFallback[];
}

/** @param place path of the written file or folder. */
export const writtenText = (place: string, dtype: string, { bytes, parameters, fallbacks }: WrittenModel): string => {
  const share = Math.round((100 * bytes) / (4 * parameters));
  return [
    `${place}: ${formatCount(parameters)} parameters in ${dtype}, ${formatBytes(bytes)}, ${share}% of float32`,
    ...fallbackLines(fallbacks),
    "",
  ].join("\n");
};
