/** Draws what grows once a frame, however fast it grows. `end` takes back a draw that waits. */
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
