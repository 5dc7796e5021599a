import type { ComponentChildren } from "preact";

/** Message within a view. Screen readers announce failures immediately. */
export const Notice = ({
  tone,
  children,
}: {
  readonly tone: "bad" | "plain";
  readonly children: ComponentChildren;
}) => (
  <div class={`notice notice-${tone}`} role={tone === "bad" ? "alert" : "status"}>
    {children}
  </div>
);
