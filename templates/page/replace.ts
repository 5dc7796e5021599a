// Asks before a new training replaces a run.
import type { RunFiles } from "foretoken/browser";
import { download, keepsRuns } from "./kept.ts";
import { part } from "./parts.ts";
import { positionOf } from "./past.ts";

const dialog = part<HTMLDialogElement>("replace");

<<<<<<< HEAD
/**
 * Asks in a dialog whether the run may be replaced. If the user chooses to download the run, the download comes first.
 */
=======
/** Asks in the dialog whether the run may be replaced. The dialog also offers to download the run first. */
>>>>>>> p-h
export const mayReplace = async (run: RunFiles): Promise<boolean> => {
  const { step, steps } = positionOf(run);
  const which = keepsRuns() ? "in your browser" : "of this page";
  part("replaced").textContent = `This replaces the run ${which} (step ${step} of ${steps}). Download it first?`;
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue === "download") download(run);
  return dialog.returnValue !== "";
};
