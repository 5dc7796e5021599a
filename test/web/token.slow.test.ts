import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Studio, type StudioOptions, startStudio } from "#foretoken/serve/studio/start.js";
import { missingChromium } from "../browser/chromium.ts";
import { pageAt, smallRun, useStudio } from "../serve/studio.ts";
import { usePages } from "./page.ts";
import { stateOf, untilStep } from "./studio-pages.ts";

const token = "the-token-of-this-test";
const server = useStudio({ host: "0.0.0.0", token });
const openPage =
  missingChromium === undefined ? usePages(server.address) : () => Promise.reject(new Error("no chromium"));

describe.skipIf(missingChromium !== undefined)("the token in the address", () => {
  it("is kept, and not given up for one that the server refuses", async () => {
    const page = await openPage(`/runs#token=${token}`);
    await page.getByRole("heading", { name: "No runs yet" }).waitFor();
    expect(new URL(page.url()).hash).toBe("");
    const kept = () => page.evaluate("localStorage.getItem('foretoken.token')");
    await expect.poll(() => kept()).toBe(token);
    // Any page can have a link with such an address.
    await page.goto("about:blank");
    await page.goto(new URL("/runs#token=another", server.address()).href);
    await page.getByRole("heading", { name: "No runs yet" }).waitFor();
    await expect.poll(() => kept()).toBe(token);
    expect(new URL(page.url()).hash).toBe("");

    // A correct token replaces a wrong token that is stored, for example from an earlier studio.
    await page.evaluate("localStorage.setItem('foretoken.token', 'old')");
    await page.goto("about:blank");
    await page.goto(new URL(`/runs#token=${token}`, server.address()).href);
    await page.getByRole("heading", { name: "No runs yet" }).waitFor();
    await expect.poll(() => kept()).toBe(token);
  });

  it("is in the link that is copied, which opens the same view without a token that was kept", async () => {
    const page = await openPage(`/new?from=here#token=${token}`);
    await page.getByRole("button", { name: "Copy link" }).click();
    await page.getByText("Copied").waitFor();
    const copied = String(await page.evaluate("navigator.clipboard.readText()"));
    expect(copied).toBe(new URL(`/new?from=here#token=${token}`, server.address()).href);
  });

  it("is taken from an address that is opened where the page is open already", async () => {
    const page = await openPage("/runs");
    await page.getByText("add #token=… with the token to this address").waitFor();
    const kept = () => page.evaluate("localStorage.getItem('foretoken.token')");
    // A token that the server refuses is removed from the address and is not stored.
    await page.evaluate("location.hash = '#token=another'");
    await page.waitForFunction("location.hash === ''");
    await expect.poll(() => kept()).toBe(null);
    await page.evaluate(`location.hash = '#token=${token}'`);
    await page.getByRole("heading", { name: "No runs yet" }).waitFor();
    await expect.poll(() => kept()).toBe(token);
    expect(new URL(page.url()).hash).toBe("");
  });

  it("is missed in words", async () => {
    const page = await openPage("/runs");
    await page.getByText("add #token=… with the token to this address").waitFor();
    await expect.poll(() => page.getByRole("button", { name: "Copy link" }).count()).toBe(0);
  });
});

describe.skipIf(missingChromium !== undefined)("a studio that is started again with a token", () => {
  let folder = "";
  let studio: Studio | undefined;
  const start = async (options: Partial<StudioOptions>) => {
    studio = await startStudio({ folder: join(folder, "runs"), backend: "wasm", threads: 1, ...options });
    return studio.url;
  };
  let address = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "foretoken-studio-"));
    address = await start({ port: 0 });
  });
  afterAll(async () => {
    await studio?.close();
    await rm(folder, { recursive: true });
  });
  const open = missingChromium === undefined ? usePages(() => address) : undefined;

  it("is followed no more: the page asks for its new address, and claims no training", async () => {
    const server = pageAt(
      () => folder,
      () => address,
    );
    await server.post("runs", smallRun("left", 200_000, { evalInterval: 100, sampleTokens: 0 }));
    const page = await open?.("/runs/left");
    if (page === undefined) throw new Error("no chromium");
    await untilStep(page, 20);
    await studio?.close();
    await start({ host: "0.0.0.0", port: Number(new URL(address).port), token });
    await stateOf(page, "Studio restarted");
    await page.getByText("Open the address that the studio printed").waitFor();
    await expect.poll(() => page.getByText("Time left").count()).toBe(0);
    await expect.poll(() => page.getByRole("button", { name: "Stop" }).isDisabled()).toBe(true);
  });
});
