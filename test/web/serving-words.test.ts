import { describe, expect, it } from "vitest";
import { type LastRequest, timesOf } from "#foretoken/serve/openai/recent.js";
import { milliseconds, requestState, timesNote, unanswered } from "../../web/serving/words.ts";

const plain = (text: string): string => text.replaceAll("\u00a0", " ");

describe("times of requests", () => {
  it("are named as a median, with a percentile only of many requests", () => {
    const note = (times: readonly number[]): string => plain(timesNote(timesOf(times)));
    expect(note([])).toBe("no request yet");
    expect(note([306])).toBe("one request");
    expect(note([306, 331])).toBe("median of 2, longest 331 ms");
    const many = Array.from({ length: 19 }, (_, i) => 100 + i);
    expect(note(many)).toBe("median of 19, longest 118 ms");
    expect(note([...many, 9000])).toBe("median of 20, 95 % within 118 ms");
  });

  it("have the mean of the two middle times as their median, in any order", () => {
    expect(timesOf([5, 1, 9, 2])).toEqual({ count: 4, median: 3.5, longest: 9, p95: null });
    expect(timesOf([5, 1, 9])?.median).toBe(5);
    expect(timesOf([])).toBeNull();
  });

  it("are in seconds where they are long", () => {
    expect([0.2, 1356, 12_345].map((time) => plain(milliseconds(time)))).toEqual(["1 ms", "1,356 ms", "12.3 s"]);
  });
});

it("counts the requests without an answer by how they ended", () => {
  const ended = { answered: 7, refused: 0, failed: 0, left: 0 };
  expect(unanswered({ ended })).toEqual({ number: 0, note: "refused, failed or cancelled" });
  expect(unanswered({ ended: { ...ended, refused: 1200, left: 1 } })).toEqual({
    number: 1201,
    note: "1,200 refused, 1 cancelled",
  });
  expect(unanswered({ ended: { ...ended, failed: 2 } }).note).toBe("2 failed");
});

it("says how a request ended, with its status and the code of its error", () => {
  const request: LastRequest = {
    ...{ id: "a", time: "2026-12-01T04:00:00.000Z", path: "/v1/completions", model: null, promptTokens: 0 },
    ...{ newTokens: 0, firstTokenMs: null, milliseconds: 3, status: 200, ending: "answered", code: null },
  };
  const words = (fields: Partial<LastRequest>) => requestState({ ...request, ...fields });
  expect(words({})).toEqual({ tone: "good", word: "Answered", about: "200" });
  expect(words({ ending: "refused", status: 404, code: "model_not_found" })).toEqual({
    ...{ tone: "bad", word: "Refused", about: "404, model not found" },
  });
  expect(words({ ending: "refused", status: 400 }).about).toBe("400, invalid request");
  expect(words({ ending: "failed", status: 500 })).toEqual({ tone: "bad", word: "Failed", about: "500" });
  expect(words({ ending: "left", status: 499 })).toEqual({ tone: "still", word: "Cancelled", about: "by the client" });
});
