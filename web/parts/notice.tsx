import type { ComponentChildren } from "preact";

/** A message in the flow of a view: a failure is announced at once. */
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
