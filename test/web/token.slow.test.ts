import { describe, expect, it } from "vitest";
import { missingChromium } from "../browser/chromium.ts";
import { useStudio } from "../serve/studio.ts";
import { usePages } from "./page.ts";

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
    expect(await kept()).toBe(token);
    // As a link of any page can.
    await page.goto("about:blank");
    await page.goto(new URL("/runs#token=another", server.address()).href);
    await page.getByRole("heading", { name: "No runs yet" }).waitFor();
    expect(await kept()).toBe(token);
    expect(new URL(page.url()).hash).toBe("");

    // A wrong one that was kept, as of a studio before, goes for the right one.
    await page.evaluate("localStorage.setItem('foretoken.token', 'old')");
    await page.goto("about:blank");
    await page.goto(new URL(`/runs#token=${token}`, server.address()).href);
    await page.getByRole("heading", { name: "No runs yet" }).waitFor();
    expect(await kept()).toBe(token);
  });

  it("is taken from an address that is opened where the page is open already", async () => {
    const page = await openPage("/runs");
    const missing = page.getByText("the token must be the one in the address that was printed");
    await missing.waitFor();
    const kept = () => page.evaluate("localStorage.getItem('foretoken.token')");
    // One that the server refuses is taken out of the address too, and not kept.
    await page.evaluate("location.hash = '#token=another'");
    await page.waitForFunction("location.hash === ''");
    expect(await kept()).toBe(null);
    await page.evaluate(`location.hash = '#token=${token}'`);
    await page.getByRole("heading", { name: "No runs yet" }).waitFor();
    expect(await kept()).toBe(token);
    expect(new URL(page.url()).hash).toBe("");
  });

  it("is missed in words", async () => {
    const page = await openPage("/runs");
    await page.getByText("the token must be the one in the address that was printed").waitFor();
  });
});
