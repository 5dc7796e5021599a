/** A view whose code is loaded when it is first shown, so that the first view of the page stays small. */
import { useSignal } from "@preact/signals";
import type { ComponentType, FunctionComponent } from "preact";
import { useEffect } from "preact/hooks";
import { Notice } from "../parts/notice.tsx";

export const later = (load: () => Promise<ComponentType>): FunctionComponent => {
  let Loaded: ComponentType | undefined;
  return () => {
    const state = useSignal<"loading" | "here" | "failed">(Loaded === undefined ? "loading" : "here");
    useEffect(() => {
      if (Loaded !== undefined) return;
      load().then(
        (view) => {
          Loaded = view;
          state.value = "here";
        },
        () => {
          state.value = "failed";
        },
      );
    }, []);
    if (state.value === "failed")
      return <Notice tone="bad">This view could not be loaded. Load the page again.</Notice>;
    if (Loaded === undefined) return <p class="soft waiting">Loading</p>;
    return <Loaded />;
  };
};
