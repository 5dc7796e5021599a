// Asks before a new training replaces a run.
import type { RunFiles } from "foretoken/browser";
import { download, keepsRuns } from "./kept.ts";
import { count, part } from "./parts.ts";
import { positionOf } from "./past.ts";

const dialog = part<HTMLDialogElement>("replace");

/** Asks in the dialog whether the run may be replaced. The dialog also offers to download the run first. */
export const mayReplace = async (run: RunFiles): Promise<boolean> => {
  const { step, steps } = positionOf(run);
  const which = keepsRuns() ? "in your browser" : "of this page";
  part("replaced").textContent =
    `This replaces the run ${which} (step ${count.format(step)} of ${count.format(steps)}). Download it first?`;
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue === "download") download(run);
  return dialog.returnValue !== "";
};
