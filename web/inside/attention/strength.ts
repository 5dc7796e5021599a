/**
 * Darkness of the shade for a probability. The square root makes small probabilities visible. The legend uses the same
 * shades.
 */
export const strengthOf = (probability: number): number => Math.sqrt(Math.max(0, Math.min(1, probability)));
