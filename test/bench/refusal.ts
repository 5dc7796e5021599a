import { expect, it, vi } from "vitest";

class Exit {
  readonly status: unknown;
  constructor(status: unknown) {
    this.status = status;
  }
}

/** The error line of a benchmark for flags that it refuses, without starting a process. */
const refusalOf = async (name: string, args: readonly string[]): Promise<{ status: unknown; lines: string[] }> => {
  const { argv } = process;
  const lines: string[] = [];
  const said = vi.spyOn(console, "error").mockImplementation((line) => void lines.push(`${line}`));
  const exit = vi.spyOn(process, "exit").mockImplementation((status) => {
    throw new Exit(status);
  });
  process.argv = [process.execPath, name, ...args];
  try {
    // Loads a new copy of the module each time.
    await import(`${new URL(`../../bench/${name}.mjs`, import.meta.url).href}?${encodeURIComponent(args.join(" "))}`);
    return { status: undefined, lines };
  } catch (error) {
    if (error instanceof Exit) return { status: error.status, lines };
    throw error;
  } finally {
    process.argv = argv;
    said.mockRestore();
    exit.mockRestore();
  }
};

/** A test for each list of flags. The benchmark must refuse the flags with status 2 and one line. */
export const testRefusals = (name: string, cases: readonly (readonly [readonly string[], RegExp])[]): void => {
  it.each(cases)(`${name} refuses %j in a line`, async (args, says) => {
    const { status, lines } = await refusalOf(name, args);
    expect(lines.join("\n").split("\n")).toEqual([expect.stringMatching(says)]);
    expect(status).toBe(2);
  });
};
