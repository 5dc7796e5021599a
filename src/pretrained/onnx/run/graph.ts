/** Executes an ONNX graph node by node, after checking that every node is supported. */
import { CheckpointError } from "../../../core/errors/errors.ts";
import { formatShape, type Shape } from "../../../core/tensors/shape.ts";
import type { ReadModel, ReadNode, ReadValue, StoredTensor } from "../../../io/onnx/read.ts";
import type { Refuse } from "../../../io/onnx/read-wire.ts";
import { operatorOf, type RunnableOperator } from "./operators.ts";
import type { Products } from "./products.ts";
import { type Numbers, roomFor, type Tensor } from "./tensor.ts";

/** A checked node. The node can be executed when its inputs are available. */
interface Step {
  readonly node: ReadNode;
  readonly operator: RunnableOperator;
  readonly refuse: Refuse;
  /** Names of tensors that can be freed after this node, because no later node reads them. */
  readonly done: readonly string[];
}

/** A checked graph. */
export interface RunnableGraph {
  /**
   * Computes the outputs. @param given inputs by name. The inputs have the types and shapes that the graph declares.
   */
  readonly run: (given: Readonly<Record<string, Tensor>>) => Promise<Readonly<Record<string, Tensor>>>;
}

/** Supported versions of ONNX's default operators. LayerNormalization exists only in version 17. */
const versions = { least: 13, most: 17 } as const;

const checkVersions = ({ operatorSets }: ReadModel, refuse: Refuse): void => {
  const own = operatorSets.find(({ domain }) => domain === "");
  if (own !== undefined && own.version >= versions.least && own.version <= versions.most) return;
  const got = own === undefined ? "no default operators of ONNX" : `version ${own.version}`;
  throw refuse(`the graph must use ONNX's default operators, version ${versions.least} to ${versions.most}`, got);
};

/** @throws CheckpointError for a node that is not supported. */
const operatorFor = ({ op, domain, inputs, outputs, attributes }: ReadNode, refuse: Refuse): RunnableOperator => {
  const operator = domain === "" || domain === "ai.onnx" ? operatorOf(op) : undefined;
  if (operator === undefined) {
    throw refuse("must be an operator that export writes", domain === "" ? op : `${op} of ${domain}`);
  }
  const other = [...attributes.keys()].find((name) => !operator.attributes.includes(name));
  if (other !== undefined) throw refuse(`must have only supported attributes of ${op}`, other);
  const [least, most] = operator.inputs;
  if (inputs.length < least || inputs.length > most) {
    throw refuse(`must have ${least} inputs${most > least ? " or more" : ""}`, `${inputs.length}`);
  }
  if (outputs.length !== 1 && (op !== "Split" || outputs.length === 0)) {
    throw refuse("must have one output", `${outputs.length}`);
  }
  return operator;
};

const refuseFor = (where: string, node?: ReadNode): Refuse => {
  const named = node === undefined ? "" : `node ${node.name} (${node.op}) `;
  return (must, got) => new CheckpointError({ where, must: `${named}${must}`, got });
};

/**
 * Turns the nodes into steps. Checks that each node reads tensors that exist, and that each tensor is made only once.
 */
const stepsOf = (where: string, { nodes, tensors, inputs, outputs }: ReadModel): readonly Step[] => {
  const made = new Set([...tensors.keys(), ...inputs.map(({ name }) => name)]);
  const last = new Map<string, number>();
  const checked = nodes.map((node, i) => {
    const refuse = refuseFor(where, node);
    const operator = operatorFor(node, refuse);
    for (const name of node.inputs) {
      if (!made.has(name)) throw refuse("must read only tensors that exist already", JSON.stringify(name));
      last.set(name, i);
    }
    for (const name of node.outputs) {
      if (made.has(name)) throw refuse("must give each output a new name", JSON.stringify(name));
      made.add(name);
      last.set(name, i);
    }
    return { node, operator, refuse };
  });
  const wanted = new Set(outputs.map(({ name }) => name));
  const missing = [...wanted].find((name) => !made.has(name));
  if (missing !== undefined)
    throw refuseFor(where)("a node must compute every output of the graph", JSON.stringify(missing));
  const done = nodes.map((): string[] => []);
  for (const [name, i] of last) if (!wanted.has(name)) done[i]?.push(name);
  return checked.map((step, i) => ({ ...step, done: done[i] ?? [] }));
};

/** Reads a tensor of the file and converts it to the number format of the backend. */
const numbersOf = async (
  name: string,
  { type, shape, read }: StoredTensor,
  { real }: Products,
  refuse: Refuse,
): Promise<Numbers> => {
  const bytes = await read();
  if (type === "uint8") return bytes;
  const numbers = roomFor(type, shape, real, refuse);
  const own = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
  if (type === "float32") {
    numbers.set(new Float32Array(own.buffer, own.byteOffset, numbers.length));
    return numbers;
  }
  for (const [i, value] of new BigInt64Array(own.buffer, own.byteOffset, numbers.length).entries()) {
    numbers[i] = Number(value);
    if (!Number.isSafeInteger(numbers[i])) throw refuse(`${name} must hold numbers below 2^53`, String(value));
  }
  return numbers;
};

/**
 * Reads tensors of the file. `keep` reads a tensor only once and keeps it in memory. `load` reads the tensor again at
 * each call.
 */
const storedReader = (tensors: ReadModel["tensors"], products: Products, refuse: Refuse) => {
  const held = new Map<string, Numbers>();
  const load = (name: string): Promise<Numbers> => {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new Error(`${name} is no tensor of the file`);
    return numbersOf(name, tensor, products, refuse);
  };
  return {
    load,
    async keep(name: string): Promise<Numbers> {
      const found = held.get(name) ?? (await load(name));
      held.set(name, found);
      return found;
    },
  };
};

/** Compares tensors with the shapes that a graph declares. A named size must have the same value everywhere. */
const shapeCheck = (refuse: Refuse) => {
  const sizes = new Map<string, number>();
  return ({ name, type, shape: declared }: ReadValue, { type: own, shape }: Tensor): void => {
    const wanted: Shape = declared.map((size, axis) => {
      if (typeof size === "number") return size;
      const known = sizes.get(size) ?? shape[axis] ?? -1;
      sizes.set(size, known);
      return known;
    });
    if (own === type && wanted.join() === shape.join()) return;
    throw refuse(`${name} must be ${formatShape(wanted)} of ${type}`, `${formatShape(shape)} of ${own}`);
  };
};

/**
 * Checks that a graph can be executed.
 * @param where the file, for errors. @param products computes matrix products; the caller closes it.
 * @throws CheckpointError with the first node that is not supported.
 */
export const runnableGraph = (where: string, model: ReadModel, products: Products): RunnableGraph => {
  const refuse = refuseFor(where);
  checkVersions(model, refuse);
  const steps = stepsOf(where, model);
  const { tensors, inputs, outputs } = model;
  const { load, keep } = storedReader(tensors, products, refuse);
  const runStep = async ({ node, operator, refuse: own }: Step, values: Map<string, Tensor>): Promise<void> => {
    const isLate = (name: string, place: number): boolean => place === operator.late && tensors.has(name);
    const read: Tensor[] = [];
    for (const [place, name] of node.inputs.entries()) {
      const stored = tensors.get(name);
      const value = values.get(name);
      if (value !== undefined) read.push(value);
      else if (stored === undefined) throw new Error(`${name} was not kept`);
      else read.push({ ...stored, data: isLate(name, place) ? new Uint8Array() : await keep(name) });
    }
    const made = await operator.run({
      inputs: read,
      stored: node.inputs.map((name) => (tensors.has(name) ? name : undefined)),
      load: async (place) => {
        const name = node.inputs[place] ?? "";
        return tensors.has(name) ? load(name) : ((values.get(name) as Tensor).data satisfies Numbers);
      },
      ...{ outputs: node.outputs.length, attributes: node.attributes, real: products.real, products, refuse: own },
    });
    for (const [i, value] of [made].flat().entries()) values.set(node.outputs[i] ?? "", value);
  };
  return {
    async run(given) {
      const values = new Map<string, Tensor>();
      const check = shapeCheck(refuse);
      for (const input of inputs) {
        const value = given[input.name];
        if (value === undefined) throw refuse("must have only the inputs of a language model", input.name);
        check(input, value);
        values.set(input.name, value);
      }
      for (const step of steps) {
        await runStep(step, values);
        for (const name of step.done) values.delete(name);
      }
      const made: Record<string, Tensor> = {};
      for (const output of outputs) {
        const value = values.get(output.name);
        const stored = tensors.get(output.name);
        if (value === undefined && stored === undefined) throw new Error(`${output.name} was not kept`);
        made[output.name] = value ?? { ...(stored as StoredTensor), data: await keep(output.name) };
        check(output, made[output.name] as Tensor);
      }
      return made;
    },
  };
};
