// Asks before a new training takes the place of a run.
import type { RunFiles } from "foretoken/browser";
import { download, keepsRuns } from "./kept.ts";
import { part } from "./parts.ts";
import { positionOf } from "./past.ts";

const dialog = part<HTMLDialogElement>("replace");

/** Whether the run may be replaced: the dialog's answer. The run is downloaded first where that was chosen. */
export const mayReplace = async (run: RunFiles): Promise<boolean> => {
  const { step, steps } = positionOf(run);
  const which = keepsRuns() ? "that your browser keeps" : "of this page";
  part("replaced").textContent = `This replaces the run ${which} (step ${step} of ${steps}). Download it first?`;
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue === "download") download(run);
  return dialog.returnValue !== "";
};
