/** Calls that look inside a model in another thread. `answerInside` answers these calls there. */
import { checkIdList, checkOptions, checkSignal } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import type { CallOptions } from "../core/remote/caller.ts";
import type { AttentionMaps, AttentionOfOptions } from "../inside/attention.ts";
import type { HeadPlace } from "../inside/heads.ts";
import type { LensOptions, LensPosition } from "../inside/lens.ts";
import type { NeighbourOptions, Neighbours } from "../inside/neighbours.ts";
import type { Patched, PatchOptions } from "../inside/patch.ts";

/** Methods that look inside a model in another thread. */
export interface ThreadInside {
  /** Does the same as the library's `attentionOf`, with equal numbers and errors. */
  attentionOf(text: string | ArrayLike<number>, options?: AttentionOfOptions): Promise<AttentionMaps>;
  /** Does the same as the library's `lensOf`, with equal numbers and errors. */
  lensOf(text: string | ArrayLike<number>, options?: LensOptions): Promise<readonly LensPosition[]>;
  /** Does the same as the library's `neighboursOf`, with equal numbers and errors. */
  neighboursOf(token: number | string, options?: NeighbourOptions): Promise<Neighbours>;
  /** Does the same as the library's `patched`, with equal numbers and errors. */
  patched(options: PatchOptions): Promise<Patched>;
  /**
   * Switches off exactly these heads for all later calls, as `withoutHeads` does. An empty list switches all heads on.
   * Calls that have already begun do not change.
   * @throws ConfigError for a head that the model lacks. The heads then stay as they were.
   */
  switchOff(heads: readonly HeadPlace[]): Promise<void>;
}

/** One call and its arguments, which are the arguments of the library's function. */
export type InsideRequest =
  | {
      readonly method: "attentionOf";
      readonly text: string | ArrayLike<number>;
      readonly options: AttentionOfOptions;
    }
  | { readonly method: "lensOf"; readonly text: string | ArrayLike<number>; readonly options: LensOptions }
  | { readonly method: "neighboursOf"; readonly token: number | string; readonly options: NeighbourOptions }
  | { readonly method: "patched"; readonly options: PatchOptions };

/** A text, or a list of ids that can be sent to a thread. */
const sentText = (where: string, text: string | ArrayLike<number>): string | ArrayLike<number> => {
  if (typeof text === "string") return text;
  checkIdList(where, text);
  return Float64Array.from(text);
};

/** @throws ConfigError for a value that cannot be sent to a thread, such as a function. */
const checkCloneable = (where: string, value: unknown): void => {
  try {
    structuredClone(value);
  } catch (cause) {
    const must = "must hold only numbers, texts, lists and objects";
    throw new ConfigError({ where, must, got: String(cause), cause });
  }
};

/** The methods for the calling thread. @param call calls the model's thread and returns the result. */
export const callsInside = (
  call: (method: string, args: object, options?: CallOptions) => Promise<unknown>,
): ThreadInside => {
  const inside = (request: InsideRequest, signal?: AbortSignal): Promise<unknown> => {
    checkCloneable(request.method, request);
    return call("inside", { request }, { signal });
  };
  return {
    attentionOf: async (text, options = {}) => {
      checkOptions("attentionOf: options", options);
      const request = { method: "attentionOf", text: sentText("attentionOf: text", text), options } as const;
      return (await inside(request)) as AttentionMaps;
    },
    lensOf: async (text, given = {}) => {
      checkOptions("lensOf: options", given);
      const { signal, ...options } = given;
      checkSignal("lensOf: signal", signal);
      const request = { method: "lensOf", text: sentText("lensOf: text", text), options } as const;
      return (await inside(request, signal)) as readonly LensPosition[];
    },
    neighboursOf: async (token, options = {}) => {
      checkOptions("neighboursOf: options", options);
      return (await inside({ method: "neighboursOf", token, options })) as Neighbours;
    },
    patched: async (options) => {
      checkOptions("patched: options", options);
      const clean = sentText("patched: clean", options.clean);
      const corrupted = sentText("patched: corrupted", options.corrupted);
      return (await inside({ method: "patched", options: { ...options, clean, corrupted } })) as Patched;
    },
    switchOff: async (heads) => {
      checkCloneable("withoutHeads: heads", heads);
      await call("switchOff", { heads });
    },
  };
};
