/** Numbers and findings of the lesson in words, as everybody reads them. */
import { percent } from "../../parts/format.ts";

/** A probability in percent, without powers of ten. */
export const percentText = (probability: number): string => {
  if (probability > 0 && probability < 0.001) return "< 0.1 %";
  if (probability > 0.999 && probability < 1) return "> 99.9 %";
  return percent(probability);
};
