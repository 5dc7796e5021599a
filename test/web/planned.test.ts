import { expect, it, vi } from "vitest";

/** A request to the studio's server. */
const asked: { readonly preset?: string; readonly config?: object }[] = [];
/** Widths that follow from the recipe. 5 heads do not divide any of these widths. */
const widths: Readonly<Record<string, number>> = { quick: 128, gpt2: 768 };

it("a fault names the values that the form shows, after another recipe too", async () => {
  vi.useFakeTimers();
  vi.stubGlobal("location", { hash: "", pathname: "/new", search: "", href: "http://localhost/new" });
  vi.stubGlobal("sessionStorage", { getItem: () => null, setItem: () => {}, removeItem: () => {} });
  vi.stubGlobal("window", new EventTarget());
  vi.stubGlobal("document", new EventTarget());
  vi.stubGlobal("fetch", async (_path: string, { body }: { readonly body: string }) => {
    const request = JSON.parse(body) as (typeof asked)[number];
    asked.push(request);
    const nEmbd = widths[request.preset ?? ""];
    const error = `config.model.nEmbd: must be divisible by nHead; got ${nEmbd} and 5; try 130`;
    return request.config === undefined
      ? Response.json({ config: { model: { nEmbd } }, derived: [] })
      : Response.json({ error, field: "model.nEmbd" }, { status: 400 });
  });
  const { change, changeText, setValue } = await import("../../web/new-run/draft.ts");
  const { keepPlanning, plan, planFailure, untyped } = await import("../../web/new-run/planned.ts");
  const width = () => untyped.value?.config.model.nEmbd;
  const end = keepPlanning();
  changeText("a text");
  change({ preset: "quick" });
  await vi.runAllTimersAsync();
  expect(width()).toBe(128);
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
