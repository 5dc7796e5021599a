import { afterEach, expect, test, vi } from "vitest";
import { host } from "#foretoken/cli/process/host.js";
import { progressLine } from "#foretoken/cli/process/progress-line.js";
import { onHost } from "../in-process.ts";

afterEach(() => {
  vi.useRealTimers();
});

/** What standard error gets from texts at these times, in seconds. */
const shown = async (times: readonly number[], isTerminal: boolean, hidden = false): Promise<string> => {
  const { stderr } = await onHost(
    async () => {
      vi.useFakeTimers({ toFake: ["performance"] });
      Object.assign(host.stderr, { isTTY: isTerminal });
      const line = progressLine(hidden);
      let now = 0;
      for (const time of times) {
        vi.advanceTimersByTime(1000 * (time - now));
        now = time;
        line.update(`a\u001b ${time}`);
      }
      line.clear();
      return 0;
    },
    { cwd: ".", env: { TERM: "xterm" } },
  );
  return stderr;
};

test("a pipe gets a line every ten seconds, and none from a short command", async () => {
  expect(await shown([1, 9, 11, 12, 20, 22], false)).toBe("a\\u001b 11\na\\u001b 22\n");
  expect(await shown([1, 9], false)).toBe("");
});

test("a terminal gets one line, drawn anew, without the text's control characters", async () => {
  expect(await shown([1, 1.05, 9], true)).toBe("\r\u001b[Ka\\u001b 1\r\u001b[Ka\\u001b 9\r\u001b[K");
});

test("with --json nothing is shown", async () => {
  expect(await shown([1, 11, 30], false, true)).toBe("");
  expect(await shown([1, 11, 30], true, true)).toBe("");
});
