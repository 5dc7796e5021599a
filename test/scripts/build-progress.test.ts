import { afterEach, beforeEach, expect, test, vi } from "vitest";

const script = new URL("../../scripts/build/progress.mjs", import.meta.url).href;
const { openProgress } = (await import(script)) as {
  openProgress(print: (line: string) => void): {
    tell(line: string): void;
    part(name: string, build: Promise<string | undefined>): Promise<void>;
    end(failed: boolean): void;
    stop(): void;
  };
};

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Ends after some seconds. */
const built = (seconds: number, line?: string): Promise<string | undefined> =>
  new Promise((resolve) => setTimeout(resolve, 1000 * seconds, line));

test("a build names the parts that take long, and its time at the end", async () => {
  const lines: string[] = [];
  const { part, end } = openProgress((line) => lines.push(line));
  const all = Promise.all([part("one", built(30, "One: built")), part("two", built(50, "Two: built"))]);
  await vi.advanceTimersByTimeAsync(50_000);
  await all;
  end(false);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(lines).toEqual([
    "foretoken: still building one, two, after 20.0 s",
    "One: built",
    "foretoken: still building two, after 40.0 s",
    "Two: built",
    "foretoken: the build ended after 50.0 s",
  ]);
});

test("a part that fails is no longer named, and the last line says so", async () => {
  const lines: string[] = [];
  const { tell, part, end } = openProgress((line) => lines.push(line));
  tell("One: compiling");
  await expect(part("one", Promise.reject(new Error("broken")))).rejects.toThrow("broken");
  await vi.advanceTimersByTimeAsync(10_000);
  end(true);
  expect(lines).toEqual(["One: compiling", "foretoken: the build failed after 10.0 s"]);
});

test("where everything is up to date, nothing is said", async () => {
  const lines: string[] = [];
  const { part, end } = openProgress((line) => lines.push(line));
  await part("one", Promise.resolve(undefined));
  end(false);
  expect(lines).toEqual([]);
});

test("a build that stops has no line about its end", async () => {
  const lines: string[] = [];
  const { part, stop } = openProgress((line) => lines.push(line));
  const one = part("one", built(30, "One: built in 30.0 s"));
  await vi.advanceTimersByTimeAsync(30_000);
  await one;
  stop();
  expect(vi.getTimerCount()).toBe(0);
  expect(lines).toEqual(["foretoken: still building one, after 20.0 s", "One: built in 30.0 s"]);
});
