/** Facts of a run, its evaluations and its configuration. */
import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import { Copy } from "../parts/copy.tsx";
import { count, flatten, loss, moment, some } from "../parts/format.ts";
import { isLive } from "../parts/state-words.ts";
import { firstEvaluation, notMeasured } from "./not-yet.ts";
import type { RunFeed } from "./run-feed.ts";

const tokenizerOf = ({ config, vocabSize }: RunSummary): string =>
  vocabSize === null ? config.tokenizer.kind : `${config.tokenizer.kind}, ${count(vocabSize)} tokens`;

const hashName = "SHA-256";

const bestOf = (run: RunSummary): readonly (readonly [string, string])[] => {
  const { best } = run;
  if (best === null && !isLive(run)) return [["Best", notMeasured(run)]];
  return [
    [
      "Best",
      best === null
        ? `will be measured ${notMeasured(run)}`
        : `${loss(best.valLoss)} nats per token at step ${count(best.step)}`,
    ],
    // The line exists from the beginning. Otherwise the content below would move at the first evaluation.
    [
      "",
      best === null ? "" : `${loss(best.natsPerCharacter)} nats per character, ${loss(best.bitsPerByte)} bits per byte`,
    ],
  ];
};

/** Number of parameters. Of a run that trains adapters, also what it trains. */
const parametersOf = ({ parameters, adapterParameters, config: { lora } }: RunSummary) =>
  [
    ["Parameters", parameters === null ? "–" : count(parameters)],
    ...(lora === undefined || adapterParameters === null
      ? []
      : [["Training", `adapter (LoRA) of rank ${lora.rank}: ${count(adapterParameters)} trained parameters`] as const]),
  ] as const;

const factsOf = (run: RunSummary, valIsTraining: boolean): readonly (readonly [string, string])[] => {
  const { config } = run;
  const { model } = config;
  return [
    ["Text", run.corpus],
    ...(valIsTraining
      ? [["Validation", "the training text itself, so its loss does not measure new text"] as const]
      : []),
    ["Tokenizer", tokenizerOf(run)],
    [
      "Model",
      `${some(model.nLayer, "layer")}, ${some(model.nHead, "head")}, width ${count(model.nEmbd)}, context ${count(model.contextLength)}`,
    ],
    ...parametersOf(run),
    ...(run.preset === null ? [] : [["Recipe", run.preset] as const]),
    ...(run.initFrom === null ? [] : [["Begins with", run.initFrom] as const]),
    ...bestOf(run),
    ["Started", moment(run.startedAt)],
    ["Changed", moment(run.updatedAt)],
    [hashName, run.corpusSha256 === "" ? "known after the first step" : run.corpusSha256],
  ];
};

export const Facts = ({ run, feed }: { readonly run: RunSummary; readonly feed: RunFeed }) => (
  <section aria-label="Facts">
    <h2>Facts</h2>
    <dl class="facts">
      {factsOf(run, feed.data.value?.valIsTraining === true).map(([name, value]) => (
        <div key={name + value} class={name === "" ? "continued" : ""}>
          <dt>{name}</dt>
          {name === hashName ? (
            <dd>
              <span class="mono hash">{value}</span>
              <small class="fact-note">
                This hash covers the text and the position where the validation text begins. So sha256sum of the file
                gives a different hash.
              </small>
            </dd>
          ) : (
            <dd>{value}</dd>
          )}
        </div>
      ))}
    </dl>
  </section>
);

export const Configuration = ({ run }: { readonly run: RunSummary }) => (
  <details class="fold">
    <summary>
      <h2>Configuration</h2>
    </summary>
    <p>
      <Copy label="Copy as JSON" text={() => JSON.stringify(run.config, null, 2)} />
    </p>
    <dl class="config">
      {flatten(run.config).map(({ path, value }) => (
        <div key={path}>
          <dt class="mono">{path}</dt>
          <dd class="mono">{value}</dd>
        </div>
      ))}
    </dl>
  </details>
);

export const Measurements = ({ feed, run }: { readonly feed: RunFeed; readonly run: RunSummary }) => {
  void feed.version.value;
  const evals = feed.data.value?.evals;
  const rows = Array.from({ length: evals?.length ?? 0 }, (_, i) => i).toReversed();
  const at = (name: "step" | "trainLoss" | "valLoss" | "natsPerCharacter" | "bitsPerByte", i: number): number =>
    evals?.column(name)[i] ?? Number.NaN;
  return (
    <details class="fold">
      <summary>
        <h2>Evaluations</h2>
      </summary>
      <p class="soft">
        The training loss is the mean since the last evaluation. Losses without a unit are in nats per token.
        {rows.length === 0 && isLive(run) && ` The first evaluation comes at step ${count(firstEvaluation(run))}.`}
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, which keys must be able to do */}
      <section class="table-box tall" tabIndex={0} aria-label="Evaluations">
        <table>
          <thead>
            <tr>
              {["Step", "Training", "Validation", "Nats/character", "Bits/byte"].map((label) => (
                <th key={label} scope="col" class="num">
                  {label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((i) => (
              <tr key={at("step", i)}>
                <td class="num">{count(at("step", i))}</td>
                <td class="num">{loss(at("trainLoss", i))}</td>
                <td class="num">{loss(at("valLoss", i))}</td>
                <td class="num">{loss(at("natsPerCharacter", i))}</td>
                <td class="num">{loss(at("bitsPerByte", i))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </details>
  );
};
