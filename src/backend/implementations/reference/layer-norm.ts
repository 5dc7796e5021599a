import { addTo, type HostKernels } from "./host-args.ts";

/** Layer normalisation (Ba, Kiros & Hinton 2016) with the biased variance, as torch.nn.functional.layer_norm. */
export const layerNorm: HostKernels<"layerNormForward" | "layerNormBackward"> = {
  layerNormForward({ x, gamma, beta, y, mean, rstd, rows, channels, eps }) {
    for (let r = 0; r < rows; r++) {
      const row = r * channels;
      let total = 0;
      for (let c = 0; c < channels; c++) total += x[row + c] as number;
      const mu = total / channels;
      let squares = 0;
      for (let c = 0; c < channels; c++) squares += ((x[row + c] as number) - mu) ** 2;
      const inverse = 1 / Math.sqrt(squares / channels + eps);
      for (let c = 0; c < channels; c++) {
        const normalised = ((x[row + c] as number) - mu) * inverse;
        y[row + c] = normalised * (gamma[c] as number) + (beta === null ? 0 : (beta[c] as number));
      }
      mean[r] = mu;
      rstd[r] = inverse;
    }
  },

  // With x̂ = (x − mean) · rstd, g = dy · gamma and means over the row: dx = rstd · (g − mean(g) − x̂ · mean(g · x̂)).
  layerNormBackward({ dy, x, gamma, mean, rstd, dx, dGamma, dBeta, rows, channels, add }) {
    const gammaSum = new Float64Array(channels);
    const betaSum = new Float64Array(channels);
    for (let r = 0; r < rows; r++) {
      const row = r * channels;
      const mu = mean[r] as number;
      const inverse = rstd[r] as number;
      let gSum = 0;
      let gxSum = 0;
      for (let c = 0; c < channels; c++) {
        const d = dy[row + c] as number;
        const normalised = ((x[row + c] as number) - mu) * inverse;
        const g = d * (gamma[c] as number);
        gSum += g;
        gxSum += g * normalised;
        gammaSum[c] = (gammaSum[c] as number) + d * normalised;
        betaSum[c] = (betaSum[c] as number) + d;
      }
      if (dx === null) continue;
      const gMean = gSum / channels;
      const gxMean = gxSum / channels;
      for (let c = 0; c < channels; c++) {
        const normalised = ((x[row + c] as number) - mu) * inverse;
        const own = inverse * ((dy[row + c] as number) * (gamma[c] as number) - gMean - normalised * gxMean);
        dx[row + c] = (add ? (dx[row + c] as number) : 0) + own;
      }
    }
    if (dGamma !== null) addTo(dGamma, gammaSum);
    if (dBeta !== null) addTo(dBeta, betaSum);
  },
};
