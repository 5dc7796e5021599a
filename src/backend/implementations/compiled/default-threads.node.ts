import { availableParallelism } from "node:os";
import { ConfigError } from "../../../core/errors/errors.ts";
import { show } from "../../../core/text/show.ts";
import { maxThreads } from "./engine.ts";

/**
 * Default number of threads: FORETOKEN_THREADS if it is set, otherwise the number of threads that the machine runs at
 * the same time.
 * @throws ConfigError if FORETOKEN_THREADS is not a whole number from 1 to 256.
 */
export const defaultThreads = (): number => {
  const { FORETOKEN_THREADS: asked = "" } = process.env;
  if (asked === "") return availableParallelism();
  const threads = /^\d{1,3}$/u.test(asked) ? Number(asked) : 0;
  if (threads >= 1 && threads <= maxThreads) return threads;
  const must = `must be a whole number from 1 to ${maxThreads}`;
  throw new ConfigError({ where: "FORETOKEN_THREADS", must, got: show(asked), hint: "leaving it out" });
};
