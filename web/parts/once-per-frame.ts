/** Calls `draw` at most once per frame, for any number of events. `end` cancels a pending call. */
export const oncePerFrame = (draw: () => void): { readonly onEvent: () => void; readonly end: () => void } => {
  let frame = 0;
  return {
    onEvent: () => {
      if (frame !== 0) return;
      frame = requestAnimationFrame(() => {
        frame = 0;
        draw();
      });
    },
    end: () => cancelAnimationFrame(frame),
  };
};
