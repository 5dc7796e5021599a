import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { outcomeOf } from "../outcome-of.ts";
import { installPrograms, noPrograms } from "../package/runtimes.ts";
import { root } from "../support/pages.ts";
import { codeOf, keptOf, notebookText, readNotebook, type Shown } from "./notebook.ts";

const attempt =
  noPrograms === undefined ? await installPrograms(["deno"]).catch((error: Error) => error) : new Error(noPrograms);
// Installation may need the network, which may be missing. In a check of the whole project, a failed installation is an
// error.
const isRequired = noPrograms === undefined && process.env.FORETOKEN_REQUIRE_REGISTRY === "1";
const missing = attempt instanceof Error && !isRequired ? attempt.message.split("\n")[0] : undefined;

/**
 * Imitates the functions that Jupyter's kernel gives to a cell. Each cell and each object that a cell shows begin a new * line of JSON.
 */
const kernel = `
globalThis.tell = (what) => console.log("\\u0001" + JSON.stringify(what));
{
  const shown = (type) => (strings, ...values) => ({ [type]: String.raw({ raw: strings }, ...values) });
  Deno.jupyter = { display: async (bundle) => tell(bundle), html: shown("text/html"), svg: shown("image/svg+xml") };
}
`;

/** The text and objects that each cell has output. */
const shownIn = (stdout: string): readonly Shown[] => {
  const cells: { printed: string; displayed: [string, string][] }[] = [];
  for (const line of stdout.split(/(?<=\n)/u)) {
    const told: unknown = line.startsWith("\u0001") ? JSON.parse(line.slice(1)) : undefined;
    if (told === "cell") cells.push({ printed: "", displayed: [] });
    else if (told !== undefined)
      cells.at(-1)?.displayed.push(...(Object.entries(told as object) as [string, string][]));
    else (cells.at(-1) as (typeof cells)[number]).printed += line;
  }
  return cells;
};

describe.skipIf(missing !== undefined)(`the notebook in Deno${missing === undefined ? "" : `: ${missing}`}`, () => {
  let shown: readonly Shown[] = [];
  beforeAll(async () => {
    if (attempt instanceof Error) throw attempt;
    const cells = codeOf(readNotebook(await notebookText()));
    const program = [kernel, ...cells.map(({ source }) => `tell("cell");\n${source.join("")}\n`)].join("");
    const [deno] = attempt.runtimes;
    const child = attempt.start(deno?.command ?? ["deno"], ["--ext=ts", "-"], join(root, "examples"), program);
    const { status, stdout, stderr } = await outcomeOf(child);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    shown = shownIn(stdout);
  });
  afterAll(() => (attempt instanceof Error ? undefined : attempt.remove()));

  it("prints and shows in each cell what the notebook keeps, in kind", async () => {
    const kept = codeOf(readNotebook(await notebookText())).map(keptOf);
    // Numbers and names depend on the weights. In a later version, the last digits of the weights may differ.
    const kindOf = ({ printed, displayed }: Shown) => ({
      printed: printed.replaceAll(/\d[\d.]*/gu, "0").replaceAll(/\p{Lu}\p{L}*(?: \(new\))?/gu, "Name"),
      displayed: displayed.map(([type, text]) => [type, text.match(/<[a-z]+\b|<\/[a-z]+>/gu)?.slice(0, 4)]),
    });
    expect(shown.map(kindOf)).toEqual(kept.map(kindOf));
  });

  it("learns, writes names, and draws the curves, the lens and the attention of a model", () => {
    const [, training, curves, written, lens, attention] = shown;
    const losses = [...(training?.printed ?? "").matchAll(/^step \d+: (\d\.\d+) /gmu)].map(([, loss]) => Number(loss));
    expect(losses).toHaveLength(6);
    expect(losses.at(-1)).toBeLessThan((losses[0] as number) - 0.2);
    expect(curves?.displayed[0]?.[1]).toMatch(/<title>Loss of names<\/title>[\s\S]*at step \d+ of 600/u);
    expect(written?.printed.split(", ")).toHaveLength(12);
    expect(lens?.displayed[0]?.[1].match(/<tr>/gu)).toHaveLength(5);
    // There are two heads over nine letters. No letter attends to a later letter.
    expect(attention?.displayed[0]?.[1].match(/<rect /gu)).toHaveLength((2 * (9 * 10)) / 2);
  });
});
