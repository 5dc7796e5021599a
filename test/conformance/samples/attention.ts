import type { Samples } from "../sample.ts";
import {
  backward,
  backwardWithGaps,
  type Case,
  cached,
  keeping,
  type Lengths,
  packed,
  packedWithNan,
  paged,
  segmented,
  segmentedBackward,
} from "./attention-calls.ts";

const cases: readonly Case[] = [
  { batch: 0, queries: 4, headDim: 8 },
  { queries: 1, headDim: 1 },
  { queries: 2, headDim: 3, heads: 2 },
  { queries: 15, headDim: 16, heads: 3, batch: 2 },
  { queries: 16, headDim: 17 },
  { queries: 17, headDim: 15, heads: 2 },
  { queries: 31, headDim: 32 },
  { queries: 32, headDim: 31, batch: 3 },
  { queries: 33, headDim: 33, heads: 2 },
  { queries: 63, headDim: 64 },
  { queries: 64, headDim: 32, heads: 4, batch: 2 },
  { queries: 65, headDim: 63 },
  { queries: 127, headDim: 65 },
  { queries: 128, headDim: 32, heads: 2 },
  { queries: 129, headDim: 128 },
  { queries: 300, headDim: 16 },
  { queries: 33, headDim: 16, heads: 2, batch: 2, p: 0.1 },
  { queries: 65, headDim: 32, heads: 3, batch: 2, p: 0.5 },
  { queries: 129, headDim: 8, p: 0.9 },
  { queries: 33, headDim: 16, spread: 1e-10, name: "tiny" },
  { queries: 33, headDim: 16, spread: 5, name: "sharp" },
  { queries: 33, headDim: 16, spread: 100, name: "one-hot" },
  { queries: 40, headDim: 16, spread: 3, scale: -0.5, name: "negative scale" },
  { batch: 0, queries: 4, headDim: 8, causal: 0 },
  { queries: 1, headDim: 1, causal: 0 },
  { queries: 2, headDim: 3, heads: 2, causal: 0 },
  { queries: 17, headDim: 15, heads: 2, batch: 2, causal: 0 },
  { queries: 33, headDim: 33, causal: 0 },
  { queries: 128, headDim: 32, heads: 2, causal: 0 },
  { queries: 129, headDim: 65, causal: 0 },
  { queries: 300, headDim: 16, heads: 2, causal: 0 },
  { queries: 257, headDim: 8, p: 0.5, causal: 0 },
  { queries: 65, headDim: 32, heads: 3, batch: 2, p: 0.1, causal: 0 },
  { queries: 33, headDim: 16, spread: 100, causal: 0, name: "one-hot" },
  { queries: 3, headDim: 8, heads: 2, keyHeads: 1 },
  { queries: 17, headDim: 16, heads: 6, keyHeads: 3, batch: 2 },
  { queries: 33, headDim: 33, heads: 4, keyHeads: 1, batch: 2, p: 0.3 },
  { queries: 129, headDim: 32, heads: 4, keyHeads: 2, batch: 2 },
  { queries: 300, headDim: 16, heads: 3, keyHeads: 1 },
  { queries: 257, headDim: 17, heads: 4, keyHeads: 2, p: 0.5 },
  { queries: 65, headDim: 32, heads: 4, keyHeads: 2, causal: 0 },
  { queries: 140, headDim: 8, heads: 2, keyHeads: 1, p: 0.5, causal: 0 },
];

const keptCases: readonly Case[] = [
  { queries: 3, headDim: 16, heads: 2, batch: 2, p: 0.3 },
  { queries: 33, headDim: 16, heads: 2, batch: 2, p: 0.1 },
  { queries: 64, headDim: 32, p: 0.2 },
  { queries: 65, headDim: 32, heads: 3, batch: 2, p: 0.5 },
  { queries: 197, headDim: 8, p: 0.9 },
  { queries: 4, headDim: 8, heads: 2, p: 0.5, causal: 0 },
  { queries: 161, headDim: 8, heads: 2, p: 0.5, causal: 0 },
  { queries: 20, headDim: 8, name: "nothing dropped" },
  { queries: 70, headDim: 16, heads: 4, keyHeads: 2, batch: 2, p: 0.3 },
  { queries: 4, headDim: 16, heads: 4, keyHeads: 2, batch: 2, p: 0.3 },
];

const cachedCases: readonly Case[] = [
  { queries: 1, start: 0, headDim: 16 },
  { queries: 1, start: 1, headDim: 17, heads: 2 },
  { queries: 1, start: 16, headDim: 32, heads: 4, batch: 2 },
  { queries: 1, start: 63, headDim: 64 },
  { queries: 1, start: 127, headDim: 33, batch: 3 },
  { queries: 1, start: 40, headDim: 16, spread: 3, scale: -0.5, name: "negative scale" },
  { queries: 2, start: 127, headDim: 32, heads: 2 },
  { queries: 4, start: 126, headDim: 80, p: 0.3 },
  { queries: 4, start: 254, headDim: 17, heads: 2, causal: 0 },
  { queries: 1, start: 300, headDim: 32, heads: 2 },
  { queries: 5, start: 31, headDim: 15, heads: 2 },
  { queries: 17, start: 47, headDim: 32, heads: 2, batch: 2 },
  { queries: 65, start: 64, headDim: 16 },
  { queries: 33, start: 0, headDim: 16, batch: 2 },
  { queries: 7, start: 60, headDim: 16, heads: 2, batch: 2, p: 0.3 },
  { queries: 5, start: 31, headDim: 15, heads: 2, causal: 0 },
  { queries: 70, start: 190, headDim: 16, heads: 2, batch: 2, causal: 0 },
  { queries: 1, start: 130, headDim: 64, heads: 8, keyHeads: 2, batch: 2 },
  { queries: 4, start: 60, headDim: 17, heads: 4, keyHeads: 1, p: 0.3 },
  { queries: 40, start: 100, headDim: 32, heads: 4, keyHeads: 2 },
];

const segmentCases: readonly (readonly [Lengths, Omit<Case, "queries" | "start">])[] = [
  [[[1, 0]], { headDim: 8 }],
  [
    [
      [5, 0],
      [1, 17],
      [64, 0],
    ],
    { headDim: 16, heads: 2 },
  ],
  [
    [
      [1, 200],
      [1, 3],
      [4, 126],
      [1, 0],
    ],
    { headDim: 32, heads: 4, keyHeads: 2 },
  ],
  [
    [
      [130, 0],
      [3, 127],
      [33, 250],
    ],
    { headDim: 17, heads: 2, keyHeads: 1, p: 0.3 },
  ],
  [
    [
      [40, 9],
      [2, 0],
      [70, 0],
    ],
    { headDim: 16, heads: 3, causal: 0 },
  ],
];

const pagedCases: typeof segmentCases = [
  ...segmentCases,
  [
    [
      [1, 31],
      [1, 32],
      [2, 31],
      [1, 127],
      [1, 128],
      [4, 300],
    ],
    { headDim: 64, heads: 9, keyHeads: 3 },
  ],
  [
    [
      [5, 31],
      [64, 64],
      [1, 0],
      [100, 29],
    ],
    { headDim: 20, heads: 2, keyHeads: 1 },
  ],
];

const documentCases: readonly (readonly [readonly number[], Omit<Case, "queries" | "start">])[] = [
  [[1, 2, 7], { headDim: 8, heads: 2 }],
  [[33, 1, 129, 64], { headDim: 16, heads: 2, keyHeads: 1 }],
  [[100, 31], { headDim: 33, heads: 4, keyHeads: 2, p: 0.3 }],
  [[17, 140], { headDim: 32, heads: 2, causal: 0 }],
];

/** Windows with [queries, start] of segments that have pages. */
const windowSegments: typeof segmentCases = [
  [
    [
      [1, 31],
      [1, 64],
      [4, 126],
      [1, 300],
      [64, 0],
      [1, 0],
    ],
    { headDim: 32, heads: 4, keyHeads: 2, window: 32 },
  ],
  [
    [
      [5, 31],
      [64, 100],
      [140, 290],
      [33, 0],
    ],
    { headDim: 20, heads: 2, keyHeads: 1, window: 41 },
  ],
  [
    [
      [3, 200],
      [2, 127],
      [40, 128],
    ],
    { headDim: 17, heads: 2, window: 1 },
  ],
];

const windowCases: readonly Case[] = [
  { queries: 1, headDim: 8, window: 1 },
  { queries: 20, headDim: 16, heads: 2, window: 1 },
  { queries: 70, headDim: 33, window: 2 },
  { queries: 140, headDim: 17, heads: 4, keyHeads: 2, window: 7 },
  { queries: 65, headDim: 32, heads: 2, batch: 2, window: 32 },
  { queries: 300, headDim: 16, heads: 2, keyHeads: 1, window: 31 },
  { queries: 261, headDim: 64, heads: 2, window: 64 },
  { queries: 290, headDim: 8, window: 129 },
  { queries: 129, headDim: 16, heads: 2, window: 129 },
  { queries: 40, headDim: 16, window: 1000 },
  { queries: 257, headDim: 17, heads: 4, keyHeads: 2, p: 0.5, window: 33 },
  { queries: 140, headDim: 16, heads: 3, p: 0.3, window: 100 },
  { queries: 150, headDim: 16, spread: 5, window: 21, name: "sharp" },
  { queries: 150, headDim: 16, scale: -0.5, window: 21, name: "negative scale" },
  { queries: 40, headDim: 16, scale: 0, window: 5, name: "no scale" },
];

const windowKeptCases: readonly Case[] = [
  { queries: 4, headDim: 16, heads: 2, p: 0.3, window: 2 },
  { queries: 70, headDim: 16, heads: 2, batch: 2, p: 0.3, window: 5 },
  { queries: 197, headDim: 32, heads: 2, keyHeads: 1, p: 0.5, window: 41 },
  { queries: 261, headDim: 8, p: 0.2, window: 64 },
];

const windowCachedCases: readonly Case[] = [
  { queries: 1, start: 63, headDim: 64, window: 1 },
  { queries: 1, start: 300, headDim: 32, heads: 2, window: 40 },
  { queries: 4, start: 126, headDim: 80, p: 0.3, window: 3 },
  { queries: 4, start: 126, headDim: 17, heads: 4, keyHeads: 1, window: 64 },
  { queries: 2, start: 160, headDim: 33, heads: 2, batch: 2, window: 33 },
  { queries: 70, start: 190, headDim: 16, heads: 4, keyHeads: 2, window: 101 },
  { queries: 7, start: 60, headDim: 16, heads: 2, batch: 2, p: 0.3, window: 9 },
];

const windowDocuments: typeof documentCases = [
  [[33, 1, 129, 64], { headDim: 16, heads: 2, keyHeads: 1, window: 20 }],
  [[100, 31], { headDim: 33, heads: 4, keyHeads: 2, p: 0.3, window: 3 }],
];

const plain: Samples<"attentionForward" | "attentionBackward"> = {
  attentionForward: [
    ...cases.map(packed),
    ...keptCases.map(keeping),
    ...cachedCases.map(cached),
    ...segmentCases.map(([lengths, given]) => segmented(lengths, given)),
    ...pagedCases.map(([lengths, given]) => paged(lengths, given)),
    ...[3, 19, 35].map((place) => packedWithNan(place)),
  ],
  attentionBackward: [
    ...cases.map((given) => backward(given)),
    ...keptCases.map((given) => backward(given, true)),
    backwardWithGaps({ queries: 18, headDim: 16, heads: 2, batch: 2 }),
    backwardWithGaps({ queries: 35, headDim: 33, p: 0.2 }),
    backwardWithGaps({ queries: 135, headDim: 17, heads: 2, causal: 0 }),
    backwardWithGaps({ queries: 135, headDim: 17, heads: 4, keyHeads: 2 }),
    ...documentCases.map(([lengths, given]) => segmentedBackward(lengths, given)),
  ],
};

export const attention: Samples<"attentionForward" | "attentionBackward"> = {
  attentionForward: [
    ...plain.attentionForward,
    ...windowCases.map(packed),
    ...windowKeptCases.map(keeping),
    ...windowCachedCases.map(cached),
    ...windowSegments.map(([lengths, given]) => segmented(lengths, given)),
    ...windowSegments.map(([lengths, given]) => paged(lengths, given)),
    ...[19, 35].map((place) => packedWithNan(place, 6)),
  ],
  attentionBackward: [
    ...plain.attentionBackward,
    ...windowCases.map((given) => backward(given)),
    ...windowKeptCases.map((given) => backward(given, true)),
    backwardWithGaps({ queries: 135, headDim: 17, heads: 4, keyHeads: 2, window: 40 }),
    ...windowDocuments.map(([lengths, given]) => segmentedBackward(lengths, given)),
  ],
};
