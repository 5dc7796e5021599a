/** View with code that is loaded when the view is first shown. So the first load of the page stays small. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren, ComponentType, FunctionComponent } from "preact";
import { useEffect } from "preact/hooks";
import { Notice } from "../parts/notice.tsx";

/** @param waiting shown until the view is loaded. */
export const later = <Props extends object>(
  load: () => Promise<ComponentType<Props>>,
  waiting: ComponentChildren = <p class="soft waiting">Loading</p>,
): FunctionComponent<Props> => {
  let Loaded: ComponentType<Props> | undefined;
  return (props) => {
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
    if (state.value === "failed") return <Notice tone="bad">This view could not be loaded. Reload the page.</Notice>;
    return Loaded === undefined ? waiting : <Loaded {...props} />;
  };
};
