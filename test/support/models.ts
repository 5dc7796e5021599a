import type { ModelConfig } from "#foretoken/models/config.js";
import { presets } from "#foretoken/train/presets.js";

/** The reference task's model without dropout, to be made smaller. */
export const bookModel: ModelConfig = { ...presets.book.model, dropout: 0 };
