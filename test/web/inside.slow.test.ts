import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import type {
  AttentionAnswer,
  LensAnswer,
  NeighboursAnswer,
  PatchAnswer,
} from "#foretoken/serve/studio/inside/protocol.js";
import type { ScoreAnswer } from "#foretoken/serve/studio/protocol.js";
import { train } from "#foretoken/worker/train.node.js";
import { percent } from "../../web/parts/format.ts";
import { missingChromium } from "../browser/chromium.ts";
import { catText, smallRun } from "../serve/studio.ts";
import { expectNothingSerious } from "./page.ts";
import { useStudioPages } from "./studio-pages.ts";

const { server, openPage, runToEnd } = useStudioPages();

const text = "The cat sat on a";
const hostile = "<img src=x onerror=alert(1)>";
const last = "runs/kept/last";
const speaks = "runs/speaks/last";

const at = (more: Readonly<Record<string, string>> = {}, model = last): string =>
  `/inside?${new URLSearchParams({ model, text, ...more }).toString()}`;

/** The text that the view shows when the pointer is at a point of the map. */
const readingAt = async (page: Page, x: number, y: number): Promise<string> => {
  await page.mouse.move(x, y);
  // The browser reports pointer moves once per frame, so the text appears in the next frame.
  await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
  return (await page.locator(".map-reading").textContent()) ?? "";
};

/** Colours of the 5 × 5 pixels around a point of the map's canvas. */
const colorsAt = (page: Page, x: number, y: number): Promise<readonly string[]> =>
  page.evaluate(
    ([left = 0, top = 0]) => {
      const canvas = document.querySelector<HTMLCanvasElement>(".map-box canvas");
      const data = canvas?.getContext("2d")?.getImageData(left - 2, top - 2, 5, 5).data ?? [];
      return Array.from({ length: data.length / 4 }, (_, n) => Array.from(data.slice(4 * n, 4 * n + 3)).join(" "));
    },
    [Math.round(x), Math.round(y)],
  );

const colorOf = (page: Page, name: string): Promise<string> =>
  page.evaluate((variable) => {
    const hex = getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
    return [1, 3, 5].map((from) => Number.parseInt(hex.slice(from, from + 2), 16)).join(" ");
  }, name);

describe.skipIf(missingChromium !== undefined)("the inside of a model", () => {
  beforeAll(async () => {
    const small = smallRun("", 12, { learningRate: 0.02 }).config as { model: object; train: object };
    const config = { ...small, model: { ...small.model, nLayer: 2, contextLength: 32 } };
    const out = server.path("runs", "kept");
    const options = { backend: "wasm", threads: 1, keepLast: 3 } as const;
    for await (const event of train({ text: catText + hostile.repeat(9), out, config, ...options }))
      expect(event.v).toBe(1);
    // This model has learned two sentences, so a changed character changes its predictions.
    const surer = { learningRate: 0.03, evalInterval: 40, checkpointInterval: 40, batchSize: 8 };
    const learning = smallRun("", 80, surer).config as { model: object };
    const shape = { contextLength: 16, nLayer: 1, nHead: 2, nEmbd: 32, mlp: { hidden: 64 } };
    for await (const event of train({
      ...{ text: "I speak to you. I swear to you. ".repeat(60), out: server.path("runs", "speaks") },
      ...{ config: { ...learning, model: shape }, backend: "wasm", threads: 1 },
    }))
      expect(event.v).toBe(1);
    await runToEnd("single", 4);
  }, 600_000);

  it("shows attention whose upper triangle is masked, and reads it by pointer and by keys", async () => {
    const page = await openPage(at({ layer: "2", head: "1" }));
    const map = page.getByRole("application", { name: /^Attention of layer 2, head 1/ });
    await map.waitFor();
    const { body } = await server.post<AttentionAnswer>("inside/attention", { model: last, text });
    const values = body.maps.find(({ layer, head }) => layer === 1 && head === 0)?.values ?? [];
    expect(values.map((row) => row.length)).toEqual(Array.from(text, (_, i) => i + 1));

    // The whole map must be inside the window, because a pointer outside the window reads nothing. The map moves when
    // the page loads something above it.
    const mapBox = async () => {
      await page.evaluate("document.querySelector('.map-box').scrollIntoView({ block: 'center' })");
      const found = await page.locator(".map-box canvas").boundingBox();
      if (found === null) throw new Error("no map");
      return found;
    };
    const { width, height } = await mapBox();
    const masked = await colorOf(page, "--sunk");
    const stripes = new Set<string>();
    const seen = { masked: 0, open: 0 };
    const step = (Math.min(width, height) - 60) / 8;
    for (let row = 0; row < 8; row++) {
      for (let column = 0; column < 8; column++) {
        const [x, y] = [50 + column * step, 50 + row * step];
        const box = await mapBox();
        const corners = [await readingAt(page, box.x + x - 2, box.y + y - 2)];
        corners.push(await readingAt(page, box.x + x + 2, box.y + y + 2));
        // A point on the border between two cells does not belong to either cell.
        if (corners[0] !== corners[1]) continue;
        const [, from = 0, to = 0] = (/\((\d+)\) to .* \((\d+)\)/u.exec(corners[0] ?? "") ?? []).map(Number);
        const colors = await colorsAt(page, x, y);
        if (to > from) {
          expect(corners[0]).toContain("masked");
          expect(colors).toContain(masked);
          for (const color of colors) stripes.add(color);
          seen.masked++;
        } else {
          expect(corners[0]).toContain(`: ${percent(values[from - 1]?.[to - 1] ?? Number.NaN)}`);
          expect(colors).not.toContain(masked);
          seen.open++;
        }
      }
    }
    expect(Math.min(seen.masked, seen.open)).toBeGreaterThan(10);
    // A masked cell must look different from a cell with probability zero.
    expect(stripes.size).toBeGreaterThan(1);
    expect(stripes).not.toContain(await colorOf(page, "--raised"));

    await map.press("Home");
    for (let i = 0; i < 20; i++) await map.press("ArrowUp");
    for (let i = 0; i < 5; i++) await map.press("ArrowDown");
    await map.press("ArrowRight");
    await expect
      .poll(() => page.locator(".map-reading").textContent())
      .toBe(`From “a” (6) to “h” (2): ${percent(values[5]?.[1] ?? Number.NaN)}`);
    await map.press("End");
    await map.press("ArrowRight");
    await expect
      .poll(() => page.locator(".map-reading").textContent())
      .toBe("From “a” (6) to “t” (7): masked (a later token)");
  });

  it("chooses a head by its small map, and a token by its arcs; the address keeps both", async () => {
    const page = await openPage(at());
    await page.getByRole("radio", { name: "Layer 2, head 2" }).check({ force: true });
    await page.getByRole("application", { name: /^Attention of layer 2, head 2/ }).waitFor();
    const arcs = page.getByRole("slider", { name: "Token that the arcs show" });
    await arcs.press("Home");
    await arcs.press("ArrowRight");
    await expect.poll(() => arcs.getAttribute("aria-valuetext")).toMatch(/^h, 2 of 16: most to [Th], \d/u);
    await page.reload();
    await page.getByRole("application", { name: /^Attention of layer 2, head 2/ }).waitFor();
    await expect.poll(() => arcs.getAttribute("aria-valuenow")).toBe("2");
  });

  it("goes through the checkpoints of a run by keys", async () => {
    const page = await openPage(at({ layer: "1", head: "1" }));
    const slider = page.getByRole("slider", { name: "Checkpoint" });
    const first = page.locator(".bars .candidate-share").first();
    await first.waitFor();
    const shares: (string | null)[] = [];
    await slider.press("Home");
    for (const [n, step] of [4, 8, 12].entries()) {
      await page.getByText(`(${n + 1} of 3)`).waitFor();
      await expect.poll(() => slider.getAttribute("aria-valuetext")).toContain(`step ${step}`);
      const model = new URL(page.url()).searchParams.get("model");
      const { body } = await server.post<AttentionAnswer>("inside/attention", { model, text, layers: [0], heads: [0] });
      const highest = Math.max(...(body.maps[0]?.values.at(-1) ?? []));
      await first.filter({ hasText: percent(highest) }).waitFor();
      shares.push(await first.textContent());
      await slider.press("ArrowRight");
    }
    expect(new Set(shares).size).toBe(3);
    await page.reload();
    await page.getByText("(3 of 3)").waitFor();
    const other = await openPage("/inside?run=single");
    await other.getByText("--keep-last 10").waitFor();
    // The page shows a text that the run generated.
    await other.locator(".map-box").waitFor();
  });

  it("switches a head off: the loss changes as the server measures it, and so does the text", async () => {
    const page = await openPage(at({ view: "heads" }));
    const head = page.getByRole("button", { name: /^Layer 2, head 1:/u });
    // The page measures such a small model automatically.
    await page.locator(".head-ranking li").nth(3).waitFor();
    await expect.poll(() => page.getByRole("button", { name: /^(?:Measure each alone|Stop)$/u }).count()).toBe(0);
    const allOn = page.getByRole("button", { name: "Switch all on" });
    await expect.poll(() => allOn.count()).toBe(0);
    await expect.poll(() => page.locator(".inside .written").count()).toBe(0);
    await head.click();
    await allOn.waitFor();
    const scored = async (headsOff: readonly object[]) =>
      (await server.post<ScoreAnswer>("score", { model: last, text, headsOff })).body;
    const [before, after] = [await scored([]), await scored([{ layer: 1, head: 0 }])];
    expect(after.natsPerToken).not.toBeCloseTo(before.natsPerToken, 4);
    await page.locator(".loss-without", { hasText: after.natsPerToken.toFixed(4) }).waitFor();
    const cells = page.locator(".losses tbody tr").first().locator("td");
    await expect
      .poll(async () => (await cells.allTextContents()).slice(0, 2))
      .toEqual([before.natsPerToken.toFixed(4), after.natsPerToken.toFixed(4)]);
    await expect.poll(() => head.getAttribute("class")).toContain("head-off");

    await page.getByRole("button", { name: "Write both" }).click();
    const written = () => page.locator(".inside .written").allTextContents();
    const isLong = (one: string) => one.length > text.length + 40;
    await expect.poll(async () => (await written()).map(isLong)).toEqual([true, true]);
    await page.getByRole("button", { name: "Write both" }).waitFor();
    expect(new Set(await written()).size).toBe(2);

    const change = after.natsPerToken - before.natsPerToken;
    const changed = `the loss changes by ${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(4)}`;
    await expect.poll(() => head.textContent()).toBe(`Layer 2, head 1: off; without it alone ${changed}`);
    await head.hover();
    await page.locator(".heat-reading", { hasText: changed }).waitFor();
    const ranking = page.locator(".head-ranking li");
    await expect.poll(() => ranking.count()).toBe(4);
    const map = await ranking.filter({ hasText: "layer 2, head 1" }).getByRole("link").getAttribute("href");
    expect(new URLSearchParams(map?.split("?")[1]).toString()).toBe(
      new URLSearchParams({ model: last, text, layer: "2", head: "1" }).toString(),
    );
    await page.reload();
    await page.getByText("1 of 4 off").waitFor();
    await head.press("Enter");
    await page.getByText("all on", { exact: true }).waitFor();
  });

  it("has a lens, neighbours and patches that are the server's", async () => {
    const page = await openPage(at({ view: "lens", at: "3" }));
    await page.locator(".lens-cell").nth(79).waitFor();
    const rowNames = () => page.locator(".cells tbody th").allTextContents();
    await expect
      .poll(() => rowNames())
      .toEqual(["Embedding", "Layer 1 attention", "Layer 1 MLP", "Layer 2 attention", "Layer 2 MLP"]);
    await page.getByText("The text continues with", { exact: false }).waitFor();
    await page.locator(".lens-cell").first().focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("PageDown");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "After h, at layer 2 MLP" }).waitFor();
    // The token of the final prediction has a rank at each layer.
    const lens = await server.post<LensAnswer>("inside/lens", { model: last, text, from: 1, to: 2, top: 1 });
    const final = lens.body.positions[0]?.readings.at(-1)?.top[0];
    const rise = { model: last, text, from: 1, to: 2, next: final?.id };
    const ranks = (await server.post<LensAnswer>("inside/lens", rise)).body.positions[0]?.readings;
    expect(ranks?.at(-1)?.next).toMatchObject({ rank: 1, probability: final?.probability });
    await page.locator(".rise", { hasText: "Rank 1 here, with" }).waitFor();
    await page.keyboard.press("PageUp");
    await page.keyboard.press("Enter");
    await page.locator(".rise", { hasText: `Rank ${ranks?.[0]?.next?.rank} here` }).waitFor();
    await page.getByText("Layers", { exact: true }).click();
    await page.getByRole("rowheader", { name: "Layer 1", exact: true }).waitFor();
    await expect.poll(() => rowNames()).toEqual(["Embedding", "Layer 1", "Layer 2"]);

    await page.getByText("Neighbours", { exact: true }).click();
    await page.getByRole("button", { name: "c", exact: true }).click();
    const near = await server.post<NeighboursAnswer>("inside/neighbours", { model: last, token: "c", top: 20 });
    await page.getByRole("heading", { name: /^Nearest to c cosine; bars from 0 to 1$/ }).waitFor();
    await expect
      .poll(() => page.locator(".neighbours .candidate-share").first().textContent())
      .toBe(near.body.neighbours[0]?.cosine.toFixed(3));

    await page.getByLabel("Another token").fill("cat");
    await page.getByRole("button", { name: "Find" }).click();
    await page.getByText("That is 3 tokens. Type one token.").waitFor();

    await page.getByText("Patching", { exact: true }).click();
    await page.getByLabel("Second text (corrupted), same number of tokens").fill("The hat sat on a cat");
    await page.getByRole("button", { name: "Look" }).nth(1).click();
    await page.getByRole("alert").filter({ hasText: "the same number of tokens" }).waitFor();
    const corrupted = "The mat sat on t";
    await page.getByLabel("Second text (corrupted), same number of tokens").fill(corrupted);
    await page.getByRole("button", { name: "Look" }).nth(1).click();
    const patched = page.locator(".three-readings > div").nth(2);
    // A small model tries all cells by itself.
    await page.getByText(/ answer is restored most at .* \(32 cells tried\)\.$/u).waitFor();
    await patched.getByRole("heading", { name: /^Patched at layer \d, token \d/u }).waitFor();
    await page.getByRole("button", { name: /^Layer 2, token 16:/u }).click();
    const places = [{ layer: 1, position: 15, part: "residual" }];
    const { body } = await server.post<PatchAnswer>("inside/patch", { model: last, clean: text, corrupted, places });
    const share = percent(body.patched[0]?.probability ?? Number.NaN);
    await patched.getByText(`The answer has a probability of ${share}`).waitFor();
    await page
      .locator(".heat-reading", { hasText: `Layer 2, token 16: the answer has ${share}, 100 % restored` })
      .waitFor();
    // No patch at the last token changes the loss of the text.
    await expect.poll(() => patched.textContent()).not.toContain("The loss of the text");
    // The chosen cell has a frame, and the best cell has a dot.
    const dots = page.locator(".heat-best");
    await expect.poll(() => dots.count()).toBe(1);
    const best = /layer \d+, token \d+/u.exec((await page.locator(".best-patch").textContent()) ?? "")?.[0];
    await expect.poll(async () => (await dots.textContent())?.toLowerCase()).toContain(`${best}:`);
    await expect.poll(() => dots.getAttribute("aria-current")).toBe("false");
    await dots.click();
    await patched.getByText("The loss of the text is", { exact: false }).waitFor();
    // At the last position, one activation determines the whole prediction.
    expect(share).toBe(percent(body.clean.probability));
    expect(share).not.toBe(percent(body.corrupted.probability));
  });

  const saved = [
    ["attention", {}, ["the attention map", "the arcs"]],
    ["lens", { view: "lens" }, ["the lens"]],
    ["neighbours", { view: "neighbours" }, ["the neighbours"]],
    ["heads", { view: "heads" }, ["the map of heads"]],
    ["patching", { view: "patching", corrupted: "The mat sat on t" }, ["the patching map"]],
  ] as const;

  it.each(saved)("saves %s as SVG and PNG files that name the model and the text", async (view, query, names) => {
    const page = await openPage(at(query));
    const save = async (name: string, format: string): Promise<Buffer> => {
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("button", { name: `Save ${name} as ${format}` }).click(),
      ]);
      expect(download.suggestedFilename()).toBe(
        `kept-last-checkpoint-step-12-${name.replace("the ", "").replaceAll(" ", "-")}.${format.toLowerCase()}`,
      );
      return readFile(await download.path());
    };
    // The names of the models, with their steps, come in an answer of their own.
    await expect.poll(() => page.locator(".inside-model select").inputValue()).toBe("kept");
    for (const name of names) {
      await page.getByRole("button", { name: `Save ${name} as SVG` }).waitFor();
      await page.locator(".computing span").waitFor({ state: "detached" });
      const svg = (await save(name, "SVG")).toString();
      expect(svg).toContain("Model: kept: last checkpoint, step 12");
      if (view !== "neighbours") expect(svg).toContain(view === "patching" ? "The mat sat on t" : text);
      if (view === "lens") expect(svg).toContain("<polyline");
      const error = await page.evaluate(
        (file) => new DOMParser().parseFromString(file, "image/svg+xml").querySelector("parsererror")?.textContent,
        svg,
      );
      expect(error).toBeUndefined();
      const png = await save(name, "PNG");
      expect(png.subarray(1, 4).toString()).toBe("PNG");
      const [, width, height] = /width="(\d+)" height="(\d+)"/u.exec(svg) ?? [];
      expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([2 * Number(width), 2 * Number(height)]);
    }
  });

  it("shows whole columns of the lens, at each width", async () => {
    const page = await openPage(at({ view: "lens" }));
    for (const width of [1280, 700, 390]) {
      await page.setViewportSize({ width, height: 900 });
      await page.locator(".lens-cell").first().waitFor();
      await page.locator(".computing span").waitFor({ state: "detached" });
      const box = page.locator(".cells-box");
      await expect
        .poll(() => box.evaluate((one) => one.scrollWidth - one.clientWidth), { message: `${width}` })
        .toBeLessThanOrEqual(0);
      await expect.poll(() => page.locator(".edge-left.more, .edge-right.more").count()).toBe(0);
    }
  });

  it("keeps the numbers of the loss in view together with their header, and names both ends of the scale", async () => {
    const page = await openPage(at({ view: "heads" }));
    await page.locator(".head-ranking li").nth(3).waitFor();
    await page.setViewportSize({ width: 1280, height: 220 });
    await page.evaluate("document.querySelector('.heads-list > :last-child').scrollIntoView({ block: 'end' })");
    const edges = (selector: string) =>
      page
        .locator(selector)
        .first()
        .evaluate((one) => {
          const { top, bottom } = one.getBoundingClientRect();
          return { top, bottom };
        });
    const [head, first, last] = [
      await edges(".losses thead"),
      await edges(".losses tbody tr"),
      await edges(".losses tbody tr:last-child"),
    ];
    expect(head.top).toBeGreaterThanOrEqual(0);
    expect(first.top).toBeGreaterThanOrEqual(head.bottom - 1);
    expect(last.bottom).toBeLessThanOrEqual(220);
    await expect
      .poll(async () => (await page.locator(".heat-scale li").allTextContents()).join(", "))
      .toMatch(/^(?:the loss falls by \d\.\d{4}|no fall), no change, (?:it rises by \d\.\d{4}|no rise)$/u);
  });

  it("begins patching with a part of the run's sample, and says what the two texts and the map show", async () => {
    const page = await openPage(`/inside?${new URLSearchParams({ model: speaks, view: "patching" })}`);
    await page.locator(".patch-says", { hasText: /After the second text, it predicts /u }).waitFor();
    const clean = await page.getByLabel("First text (clean)").inputValue();
    const corrupted = await page.getByLabel("Second text (corrupted), same number of tokens").inputValue();
    expect(corrupted).toHaveLength(clean.length);
    expect([...clean].filter((one, n) => one !== corrupted[n])).toHaveLength(1);
    await page.getByText("Both texts are an example of the page", { exact: false }).waitFor();
    await page.getByText("Lens", { exact: true }).click();
    await page.locator(".lens-cell").first().waitFor();
    await expect
      .poll(async () => (await page.getByLabel("Text", { exact: true }).inputValue()).length)
      .toBeGreaterThan(clean.length);
    await page.getByText("Patching", { exact: true }).click();
    // The reader's own corrupted text belongs to the proposed clean text.
    await page.getByLabel("Second text (corrupted), same number of tokens").fill(clean);
    await page.getByRole("button", { name: "Look" }).nth(1).click();
    await page.getByRole("button", { name: "Propose a text" }).click();
    await page.locator(".patch-says").waitFor();
    await expect.poll(() => page.getByLabel("First text (clean)").inputValue()).toBe(clean);
  });

  it("asks for the second text where no change of a token changes what a model predicts", async () => {
    // This model has hardly learned anything, so its predictions after its own sample are all the same.
    const page = await openPage(`/inside?${new URLSearchParams({ model: last, view: "patching" })}`);
    await page.getByText("No example found: change one token of the second text.").waitFor();
    const clean = page.getByLabel("First text (clean)");
    const corrupted = page.getByLabel("Second text (corrupted), same number of tokens");
    await expect.poll(async () => (await corrupted.inputValue()) === (await clean.inputValue())).toBe(true);
    await expect.poll(() => page.locator(".heat-cells").count()).toBe(0);
  });

  it("says while it searches for an example that it does so, keeps what is typed, and gives the own text back", async () => {
    const page = await openPage(`/inside?${new URLSearchParams({ model: speaks })}`);
    await page.locator(".map-box").waitFor();
    const given = await page.getByLabel("Text", { exact: true }).inputValue();
    const held: (() => Promise<void>)[] = [];
    await page.route("**/inside/pair", (route) => held.push(() => route.continue()));
    await page.getByText("Patching", { exact: true }).click();
    await page.getByText("Searching for an example: ", { exact: false }).waitFor();
    await expect.poll(() => page.locator(".patch-says").count()).toBe(0);
    const first = page.getByLabel("First text (clean)");
    await first.fill("The ");
    for (const release of held) await release();
    await page.unroute("**/inside/pair");
    await page.getByText("Both texts are an example of the page", { exact: false }).waitFor();
    await page.locator(".patch-says").waitFor();
    await expect.poll(() => first.inputValue()).toBe("The ");
    await page.reload();
    await page.getByRole("button", { name: "Use the text of the other tabs" }).click();
    // This text is longer than the model's context, so there is no example for it.
    await page.getByText("No example found: ", { exact: false }).waitFor();
    await expect.poll(() => first.inputValue()).toBe(given);
  });

  it("shows what to do instead of a conversation where no model holds one", async () => {
    const page = await openPage("/chat");
    await page.getByRole("heading", { name: "Get a chat model" }).waitFor();
    await expect.poll(() => page.getByRole("button", { name: "Send" }).count()).toBe(0);
    await page.getByRole("link", { name: "Continue a text" }).click();
    await page.waitForURL(/\/playground\?model=runs%2F/u);
  });

  it("shows tokens and texts as text, whatever they say, and names characters that the model never saw", async () => {
    const page = await openPage(at());
    await page.getByLabel("Text", { exact: true }).fill(`${hostile}ж`);
    await page.getByRole("button", { name: "Look" }).click();
    await page.getByText("The model never saw this character of the text: ж").waitFor();
    await page.getByRole("button", { name: "Leave it out" }).click();
    await page.getByText("28 of at most 32 tokens").waitFor();
    for (const tab of ["Lens", "Neighbours", "Heads", "Patching"]) {
      await page.getByText(tab, { exact: true }).click();
      await page.locator(".about-view").waitFor();
    }
    await expect.poll(() => page.getByLabel("First text (clean)").inputValue()).toBe(hostile);
    expect(await page.locator("main img").count()).toBe(0);
  });

  const views = [
    ["attention", {}, ".bars"],
    ["a part of the attention", { from: "5", to: "9" }, ".bars"],
    ["lens", { view: "lens" }, ".lens-cell"],
    ["neighbours", { view: "neighbours" }, ".neighbours"],
    ["heads", { view: "heads", off: "1.1" }, ".losses"],
    [
      "patching",
      { view: "patching", corrupted: "The mat sat on t", layer: "1", at: "5" },
      ".three-readings .candidate",
    ],
    ["a text that cannot be read", { text: "ж" }, "[role=alert]"],
  ] as const;

  it.each(views)("has nothing serious against %s: axe, light, dark and narrow", async (_, query, ready) => {
    const page = await openPage(at(query));
    await expectNothingSerious(page, async () => {
      await page.locator(ready).first().waitFor();
      await page.locator(".computing span").waitFor({ state: "detached" });
    });
  });
});
