/** Variations of a text's default configuration, for bench/defaults.mjs. Each variation changes one part. */

/** Multiplies the number of channels by `factor`. The size of a head stays the same. */
const width = (factor) => (config) => {
  const { model } = config;
  const nEmbd = Math.max(32, model.nEmbd * factor);
  const nHead = Math.max(1, Math.round(nEmbd / (model.nEmbd / model.nHead)));
  const hidden = Math.round((nEmbd * 8) / 3 / 8) * 8;
  return { ...config, model: { ...model, nEmbd, nHead, mlp: { ...model.mlp, hidden } } };
};

const withModel = (change) => (config) => ({ ...config, model: { ...config.model, ...change(config.model) } });

const withTrain = (change) => (config) => ({ ...config, train: { ...config.train, ...change(config.train) } });

/** Multiplies the number of steps by `factor`. The number of evaluations stays the same. */
const steps = (factor) =>
  withTrain((train) => {
    const count = Math.round(train.steps * factor);
    return { steps: count, evalInterval: Math.max(1, Math.round(train.evalInterval * factor)) };
  });

export const variations = {
  default: (config) => config,
  "steps*0.5": steps(0.5),
  "steps*2": steps(2),
  "width*0.5": width(0.5),
  "width*1.5": width(1.5),
  "layers-2": withModel(({ nLayer }) => ({ nLayer: Math.max(1, nLayer - 2) })),
  "layers+2": withModel(({ nLayer }) => ({ nLayer: nLayer + 2 })),
  "dropout-0.1": withModel(({ dropout }) => ({ dropout: Math.max(0, +(dropout - 0.1).toFixed(2)) })),
  "dropout+0.1": withModel(({ dropout }) => ({ dropout: +(dropout + 0.1).toFixed(2) })),
  "rate*0.5": withTrain(({ learningRate }) => ({ learningRate: learningRate * 0.5 })),
  "rate*2": withTrain(({ learningRate }) => ({ learningRate: learningRate * 2 })),
  "decay*4": withTrain(({ optimizer }) => ({
    optimizer: { ...optimizer, weightDecay: optimizer.weightDecay * 4 },
  })),
  "context*2": (config) =>
    withTrain(({ batchSize }) => ({ batchSize: Math.max(1, batchSize / 2) }))(
      withModel(({ contextLength }) => ({ contextLength: contextLength * 2 }))(config),
    ),
  "batch*2": withTrain(({ batchSize }) => ({ batchSize: batchSize * 2 })),
};

/** The name of each variation in words, for a document. */
export const variationLabels = {
  default: "the default",
  "steps*0.5": "half of the steps",
  "steps*2": "twice the steps",
  "width*0.5": "half of the width",
  "width*1.5": "1.5 times the width",
  "layers-2": "two layers fewer",
  "layers+2": "two layers more",
  "dropout-0.1": "dropout 0.1 lower",
  "dropout+0.1": "dropout 0.1 higher",
  "rate*0.5": "half of the learning rate",
  "rate*2": "twice the learning rate",
  "decay*4": "four times the weight decay",
  "context*2": "twice the context, half the batch",
  "batch*2": "twice the batch",
};
