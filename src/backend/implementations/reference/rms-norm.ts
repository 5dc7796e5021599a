import { addTo, type HostKernels } from "./host-args.ts";

/** RMS normalisation (Zhang & Sennrich 2019), as torch.nn.functional.rms_norm over the last axis. */
export const rmsNorm: HostKernels<"rmsNormForward" | "rmsNormBackward"> = {
  rmsNormForward({ x, gamma, y, rstd, rows, channels, eps }) {
    for (let r = 0; r < rows; r++) {
      const row = r * channels;
      let squares = 0;
      for (let c = 0; c < channels; c++) squares += (x[row + c] as number) ** 2;
      const inverse = 1 / Math.sqrt(squares / channels + eps);
      for (let c = 0; c < channels; c++) y[row + c] = (x[row + c] as number) * inverse * (gamma[c] as number);
      rstd[r] = inverse;
    }
  },

  // With x̂ = x · rstd, g = dy · gamma and the mean over the row: dx = rstd · (g − x̂ · mean(g · x̂)).
  rmsNormBackward({ dy, x, gamma, rstd, dx, dGamma, rows, channels, add }) {
    const gammaSum = new Float64Array(channels);
    for (let r = 0; r < rows; r++) {
      const row = r * channels;
      const inverse = rstd[r] as number;
      let total = 0;
      for (let c = 0; c < channels; c++) {
        const normalised = (x[row + c] as number) * inverse;
        const d = dy[row + c] as number;
        total += d * (gamma[c] as number) * normalised;
        gammaSum[c] = (gammaSum[c] as number) + d * normalised;
      }
      if (dx === null) continue;
      const mean = total / channels;
      for (let c = 0; c < channels; c++) {
        const normalised = (x[row + c] as number) * inverse;
        const own = inverse * ((dy[row + c] as number) * (gamma[c] as number) - normalised * mean);
        dx[row + c] = (add ? (dx[row + c] as number) : 0) + own;
      }
    }
    if (dGamma !== null) addTo(dGamma, gammaSum);
  },
};
