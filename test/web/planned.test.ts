import { expect, it, vi } from "vitest";

/** A request to the studio's server. */
const asked: { readonly preset?: string; readonly config?: object }[] = [];
/** Widths that follow from the recipe. 5 heads do not divide any of these widths. */
const widths: Readonly<Record<string, number>> = { quick: 128, gpt2: 768 };

/** Answers the next request for a time. */
let answerTime = (_seconds: number): void => {};

it("a plan is followed by its time; a fault names the values that the form shows, after another recipe too", async () => {
  vi.useFakeTimers();
  vi.stubGlobal("location", { hash: "", pathname: "/new", search: "", href: "http://localhost/new" });
  vi.stubGlobal("sessionStorage", { getItem: () => null, setItem: () => {}, removeItem: () => {} });
  vi.stubGlobal("window", new EventTarget());
  vi.stubGlobal("document", new EventTarget());
  vi.stubGlobal("fetch", async (path: string, { body = "" }: { readonly body?: string }) => {
    if (path.endsWith("/plans/1/time"))
      return new Promise((resolve) => {
        answerTime = (seconds) => resolve(Response.json({ seconds }));
      });
    const request = JSON.parse(body) as (typeof asked)[number];
    asked.push(request);
    const nEmbd = widths[request.preset ?? ""];
    const error = `config.model.nEmbd: must be divisible by nHead; got ${nEmbd} and 5; try 130`;
    return request.config === undefined
      ? Response.json({ config: { model: { nEmbd } }, derived: [], seconds: null, timing: "1" })
      : Response.json({ error, field: "model.nEmbd" }, { status: 400 });
  });
  const { change, changeText, setValue } = await import("../../web/new-run/draft.ts");
  const { keepPlanning, plan, planFailure, timing, untyped } = await import("../../web/new-run/planned.ts");
  const width = () => untyped.value?.config.model.nEmbd;
  const end = keepPlanning();
  changeText("a text");
  change({ preset: "quick" });
  await vi.runAllTimersAsync();
  expect(width()).toBe(128);
  // The plan is shown while the server times the model.
  expect([timing.value, plan.value?.seconds]).toEqual([true, null]);
  answerTime(90);
  await vi.runAllTimersAsync();
  expect([timing.value, plan.value?.seconds]).toEqual([false, 90]);
  setValue("model.nHead", "5");
  await vi.runAllTimersAsync();
  expect(planFailure.value?.error).toContain("got 128 and 5");
  expect(width()).toBe(128);
  expect(asked.length).toBe(2);
  change({ preset: "gpt2" });
  await vi.runAllTimersAsync();
  expect(planFailure.value?.error).toContain("got 768 and 5");
  expect(width()).toBe(768);
  // The panel still shows the last valid plan.
  expect(plan.value?.config.model.nEmbd).toBe(128);
  end();
  vi.useRealTimers();
});
