import { describe, expect, it } from "vitest";
import { lensPage } from "../../web/inside/lens-page.ts";
import { ranked } from "../../web/inside/ranked.ts";
import { insideAddress, textIn } from "../../web/inside/texts.ts";

const kept = (key: string): string => `kept ${key}`;

describe("the texts of the inside", () => {
  it("are those of the address, or without any those that were kept", () => {
    const both = new URLSearchParams({ text: "a b", corrupted: "a c" });
    expect(textIn(both, "text", kept)).toBe("a b");
    expect(textIn(both, "corrupted", kept)).toBe("a c");
    expect(textIn(new URLSearchParams(), "text", kept)).toBe("kept text");
    expect(textIn(new URLSearchParams(), "corrupted", kept)).toBe("kept corrupted");
    expect(textIn(new URLSearchParams(), "text", () => undefined)).toBe("");
  });

  it("of an address with a text alone: no corrupted one, whatever was kept", () => {
    expect(textIn(new URLSearchParams({ text: "a b" }), "corrupted", kept)).toBe("");
  });

  it("are in a link as long as they fit one", () => {
    const query = (text: string) => new URLSearchParams(insideAddress("runs/a b/best", text).split("?")[1]);
    expect(Object.fromEntries(query("x & y\n#"))).toEqual({ model: "runs/a b/best", text: "x & y\n#" });
    expect(Object.fromEntries(query("ж".repeat(1000)))).toEqual({ model: "runs/a b/best" });
  });
});

describe("the pages of the lens", () => {
  it("end with the text, and join without a gap", () => {
    expect(lensPage(50, 51)).toEqual({ from: 35, to: 51 });
    expect(lensPage(35, 51)).toEqual({ from: 35, to: 51 });
    expect(lensPage(34, 51)).toEqual({ from: 19, to: 35 });
    expect(lensPage(2, 51)).toEqual({ from: 0, to: 3 });
    expect(lensPage(0, 16)).toEqual({ from: 0, to: 16 });
    expect(lensPage(0, 1)).toEqual({ from: 0, to: 1 });
  });
});

describe("the ranking of heads", () => {
  it("begins with the largest change, be it a rise or a fall", () => {
    const changes = new Map([
      ["0 0", 0.1],
      ["0 1", -0.3],
      ["1 0", 0.2],
    ]);
    expect(ranked(changes)).toEqual([
      { layer: 0, head: 1, change: -0.3 },
      { layer: 1, head: 0, change: 0.2 },
      { layer: 0, head: 0, change: 0.1 },
    ]);
  });
});
