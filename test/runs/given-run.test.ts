/** A run with its last checkpoint in memory. */
import { expect, it } from "vitest";
import { checkGivenRun, filesToResume } from "#foretoken/runs/resume/given-run.js";

it("is refused as one with adapters on the thread that trains, which gets the needed files alone", () => {
  const names = ["adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors", "trainer_state.json"];
  const files = Object.fromEntries([...names, "run.json"].map((name) => [name, new Uint8Array(1)])) as never;
  for (const given of [files, filesToResume(files)]) {
    expect(() => checkGivenRun(given, "train: resume")).toThrow(
      "train: resume: the run must train all weights, to resume from files in memory; got a run that trains an adapter; try resuming the run's folder in Node",
    );
  }
});
