/** Computes the results of transformers.js for a model. Node and the page execute the same code. */

const whole = (ids) => BigInt64Array.from(ids, BigInt);

/** Loss of a window in nats per token, from the logits of one forward pass. */
const lossOf = ({ data, dims }, ids) => {
  const vocabSize = dims.at(-1);
  let sum = 0;
  for (let i = 0; i + 1 < ids.length; i++) {
    const row = data.subarray(i * vocabSize, (i + 1) * vocabSize);
    const most = row.reduce((a, b) => Math.max(a, b));
    const total = row.reduce((all, value) => all + Math.exp(value - most), 0);
    sum += Math.log(total) + most - row[ids[i + 1]];
  }
  return sum / (ids.length - 1);
};

/**
 * Token ids of texts, greedy tokens after prompts, and the mean loss of windows.
 * @param transformers the library; its `env` finds the model's folder.
 * @param name of the model's folder.
 * @param asked `dtype`; `texts`; `prompts` and `windows`, as lists of ids; and `tokens`, the number of tokens to
 * generate.
 */
export const answersOf = async (transformers, name, { dtype, texts, prompts, windows, tokens }) => {
  const { AutoModelForCausalLM, AutoTokenizer, Tensor } = transformers;
  const tokenizer = await AutoTokenizer.from_pretrained(name);
  const model = await AutoModelForCausalLM.from_pretrained(name, { dtype });
  const inputs = (ids) => ({
    input_ids: new Tensor("int64", whole(ids), [1, ids.length]),
    attention_mask: new Tensor("int64", whole(ids.map(() => 1)), [1, ids.length]),
  });
  const written = [];
  for (const prompt of prompts) {
    const length = Math.min(tokens[0], tokens[1] - prompt.length);
    const out = await model.generate({ ...inputs(prompt), max_new_tokens: length, do_sample: false });
    written.push([...out.data].map(Number).slice(prompt.length));
  }
  const losses = [];
  for (const ids of windows) losses.push(lossOf((await model(inputs(ids))).logits, ids));
  await model.dispose();
  return {
    ids: texts.map((text) => tokenizer.encode(text, { add_special_tokens: false })),
    written,
    loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
  };
};
