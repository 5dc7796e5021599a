import { EventEmitter } from "node:events";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Host, setHost } from "#foretoken/cli/process/host.js";
import { type EndingSignal, onInterrupt } from "#foretoken/cli/process/interrupt.js";

class Ended extends Error {}

/** Effects of signals, such as "first SIGINT" or "exit 130". */
let done: string[] = [];
let send: (signal: EndingSignal, after?: number) => void;

beforeEach(() => {
  done = [];
  vi.useFakeTimers({ toFake: ["performance"] });
  const events = new EventEmitter();
  // Throws, so that the code after the call is not executed, as in a process that ends.
  const exit = (status: number): never => {
    done.push(`exit ${status}`);
    throw new Ended();
  };
  setHost(Object.assign(events, { exit }) as unknown as Host);
  send = (signal, after = 0) => {
    vi.advanceTimersByTime(after);
    try {
      events.emit(signal, signal);
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
    }
  };
  onInterrupt((_, signal) => done.push(`first ${signal}`));
});

afterEach(() => {
  setHost(process);
  vi.useRealTimers();
});

test.each(["SIGINT", "SIGTERM"] as const)("%s that comes twice within a moment is one", (signal) => {
  send(signal);
  send(signal);
  send(signal, 299);
  expect(done).toEqual([`first ${signal}`]);
});

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("a second %s ends the process, however fast it is repeated", (signal, status) => {
  send(signal);
  // The user holds down a key.
  for (let i = 0; i < 4; i++) send(signal, 100);
  expect(done).toEqual([`first ${signal}`, `exit ${status}`, `exit ${status}`]);
});

test("another signal ends the process at once, and a terminal that goes away never does", () => {
  send("SIGINT");
  send("SIGHUP", 1000);
  expect(done).toEqual(["first SIGINT"]);
  send("SIGTERM");
  expect(done).toEqual(["first SIGINT", "exit 143"]);
});
