/**
 * Results of bench/defaults.mjs: the mean loss of a setting over its seeds, the chosen setting, and tables of the
 * results.
 */
import { count, markdownTable } from "./statistics.mjs";

const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

/**
 * Maximum difference between the loss of a default and the loss of the best setting, in nats per character. Different
 * seeds, or different parts of a short text, change a loss by more than this difference.
 */
export const limitOf = (bytes) => (bytes < 50_000 ? 0.1 : bytes < 500_000 ? 0.05 : 0.02);

/**
 * The settings of a text and the chosen setting. The chosen setting was trained with all seeds, and has the lowest mean
 * loss on the part for the choice.
 * @param plans of one text, each with its `result` if it has been trained.
 */
export const comparisonOf = (plans, seeds) => {
  const settings = [...new Set(plans.map(({ variation }) => variation))].flatMap((variation) => {
    const trained = plans.filter((plan) => plan.variation === variation && plan.result !== undefined);
    if (trained.length === 0) return [];
    const losses = (part) => trained.map(({ result }) => result.chosen[part]);
    return {
      variation,
      parameters: trained[0].result.parameters,
      config: trained[0].config,
      complete: trained.length === seeds.length,
      choose: mean(losses("choose")),
      heldOut: mean(losses("heldOut")),
      range: [Math.min(...losses("heldOut")), Math.max(...losses("heldOut"))],
    };
  });
  const complete = settings.filter((setting) => setting.complete);
  const best = complete.length === 0 ? undefined : complete.reduce((a, b) => (b.choose < a.choose ? b : a));
  const own = settings.find(({ variation }) => variation === "default");
  return {
    settings,
    best,
    own,
    above: own !== undefined && best !== undefined ? own.heldOut - best.heldOut : undefined,
  };
};

const loss = (value) => value.toFixed(3);
export const rangeOf = ([from, to]) => `${loss(from)} – ${loss(to)}`;

/** Tables in Markdown: the default settings of each text, and the losses of all settings. */
export const defaultsSections = (texts, labels) => {
  const known = texts.filter(({ own }) => own !== undefined);
  const summary = known.map(({ name, bytes, tokens, own, best, above }) => {
    const { model, train } = own.config;
    const passes = (train.steps * train.batchSize * model.contextLength) / tokens;
    return [
      `\`${name}\``,
      `${model.nLayer} × ${model.nEmbd}, ${count(train.steps)} steps, ${passes.toFixed(passes < 9.95 ? 1 : 0)} passes`,
      own.complete ? `${loss(own.heldOut)} (${rangeOf(own.range)})` : `(${loss(own.heldOut)})`,
      best === undefined ? "–" : labels[best.variation],
      best === undefined ? "–" : loss(best.heldOut),
      above === undefined ? "–" : loss(above).replace("-", "−"),
      String(limitOf(bytes)),
    ];
  });
  const cell = ({ settings, best }, variation) => {
    const setting = settings.find((one) => one.variation === variation);
    if (setting === undefined) return "–";
    if (!setting.complete) return `(${loss(setting.heldOut)})`;
    return setting === best ? `**${loss(setting.heldOut)}**` : loss(setting.heldOut);
  };
  return {
    "default-texts": markdownTable([
      [
        "text",
        "default",
        "loss of the default (lowest – highest seed)",
        "chosen setting",
        "loss of the chosen setting",
        "default − chosen",
        "limit",
      ],
      ...summary,
    ]),
    "default-settings": markdownTable([
      ["setting", ...known.map(({ name }) => name.replace("-", " "))],
      ...Object.entries(labels).map(([variation, label]) => [label, ...known.map((text) => cell(text, variation))]),
    ]),
  };
};
