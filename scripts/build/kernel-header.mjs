// Writes native/generated/kernels.h, the C++ version of the declarations in src/backend/kernels/kernels.ts. The build
// does this between TypeScript and C++, because it needs the output of TypeScript. The header is committed. So C++ also
// compiles if only the sources of native/ exist, as in the package.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { isCi, isMain, root } from "./common.mjs";

export const kernelHeader = "native/generated/kernels.h";

/** Names that a structure uses for itself. */
const reserved = new Set(["kIndex", "of", "toCall", "bfloat16", "wholeTiles"]);

/** The C++ type of a field that holds a buffer: see native/buffers.h. */
const bufferType = ({ access, element, optional }) => {
  const words = { real: "float", activation: "float", index: "int32_t", bits: "uint32_t" };
  const kind = element === "activation" ? "ActivationBuffer" : "Buffer";
  return `${optional ? "Optional" : ""}${kind}<${access === "in" ? "const " : ""}${words[element]}>`;
};

const argsName = (kernel) => `${kernel[0].toUpperCase()}${kernel.slice(1)}Args`;

const checkNames = (kernel, names) => {
  for (const [i, name] of names.entries()) {
    if (!/^[a-z][A-Za-z0-9]*$/.test(name) || reserved.has(name) || names.indexOf(name) !== i)
      throw new Error(`${kernel}: ${name} cannot be the name of an argument in C++; try another`);
  }
};

/** Words as comment lines of at most 120 characters. */
const commentOf = (text) => {
  const lines = [""];
  for (const word of text.split(" ")) {
    if (`// ${lines.at(-1)} ${word}`.length > 120) lines.push("");
    lines.push(`${lines.pop()} ${word}`);
  }
  return lines.map((line) => `//${line}\n`).join("");
};

/** The structure of a kernel's arguments, in the order of a call. */
const structureOf = (kernel, index, { purpose, buffers, ints, floats }) => {
  const specs = Object.entries(buffers);
  checkNames(kernel, [...Object.keys(buffers), ...ints, ...floats]);
  const type = argsName(kernel);
  const fields = [
    ...specs.map(([name, spec]) => `${bufferType(spec)} ${name};`),
    ...ints.map((name) => `int64_t ${name};`),
    ...floats.map((name) => `double ${name};`),
  ];
  const taken = [
    ...specs.map(([name, spec], i) => `.${name} = ${bufferType(spec)}(call.buffer(${i})),`),
    ...ints.map((name, i) => `.${name} = call.ints[${i}],`),
    ...floats.map((name, i) => `.${name} = call.floats[${i}],`),
    ".bfloat16 = call.bfloat16,",
    ".wholeTiles = call.wholeTiles,",
  ];
  const given = [
    ...specs.map(([name], i) => `call.setBuffer(${i}, ${name}.any());`),
    ...ints.map((name, i) => `call.ints[${i}] = ${name};`),
    ...floats.map((name, i) => `call.floats[${i}] = ${name};`),
  ];
  const lines = (indent, texts) => texts.map((text) => `${" ".repeat(indent)}${text}\n`).join("");
  return `${commentOf(`${kernel}: ${purpose}.`)}struct ${type} {
  static constexpr int kIndex = ${index};

${lines(2, fields)}  bool bfloat16 = false;
  bool wholeTiles = false;

  template <typename Call>
  __attribute__((always_inline)) static ${type} of(const Call& call) {
    return {
${lines(8, taken)}    };
  }
  template <typename Call>
  Call toCall() const {
    Call call = {};
${lines(4, given)}    call.bfloat16 = bfloat16;
    call.wholeTiles = wholeTiles;
    return call;
  }
};
`;
};

/** One bit for each buffer: whether it holds activations. The first buffer has the lowest bit. */
const activationMask = (buffers) => {
  const bits = Object.values(buffers).map(({ element }) => (element === "activation" ? "1" : "0"));
  return bits.includes("1") ? `0b${bits.reverse().join("")}` : "0";
};

/**
 * The text of the header for the declarations `kernels`.
 * @param {Readonly<Record<string, any>>} kernels as in src/backend/kernels/kernels.ts
 */
export const headerOf = (kernels) => {
  const entries = Object.entries(kernels);
  const most = (count) => Math.max(...entries.map(([, kernel]) => count(kernel)));
  const declarations = entries.map(
    ([name, { buffers, ints, floats }]) =>
      `    {"${name}", ${Object.keys(buffers).length}, ${ints.length}, ${floats.length}, ${activationMask(buffers)}},\n`,
  );
  const calls = entries.map(([name]) => `  kernel(${name}, ${argsName(name)})`);
  return `// Made by scripts/build/kernel-header.mjs from src/backend/kernels/kernels.ts: edit that file, then build.
#pragma once

#include <cstdint>

#include "../buffers.h"

namespace foretoken {

// Maximum number of arguments of each kind in a kernel.
constexpr int kMaxBuffers = ${most(({ buffers }) => Object.keys(buffers).length)};
constexpr int kMaxInts = ${most(({ ints }) => ints.length)};
constexpr int kMaxFloats = ${most(({ floats }) => floats.length)};

struct KernelDeclaration {
  const char* name;
  int buffers;
  int ints;
  int floats;
  uint32_t activations;  // bit i: buffer i may hold bfloat16
};

constexpr KernelDeclaration kDeclarations[] = {
${declarations.join("")}};

// A kernel's arguments. \`bfloat16\`: operands of matrix products and of attention's products are rounded to bfloat16 (to
// nearest, ties to even); sums stay in float32. \`wholeTiles\`: operands of linear layers are float32, and tiles multiply them
// if the instruction set has tiles. Both follow from how the backend was opened: \`dtype\` in src/backend/backend.ts.

${entries.map(([name, kernel], index) => structureOf(name, index, kernel)).join("\n")}
}  // namespace foretoken

// Every kernel with its arguments, in the order of kDeclarations.
#define FT_EACH_KERNEL(kernel) \\
${calls.join(" \\\n")}
`;
};

/**
 * Writes the header if it is out of date. CI does not write the header, but checks the committed file. Resolves to a
 * line for the user, or to undefined.
 */
export const generateKernelHeader = async () => {
  const { kernels } = await import(pathToFileURL(join(root, "dist/backend/kernels/kernels.js")).href);
  const text = headerOf(kernels);
  const path = join(root, kernelHeader);
  if (existsSync(path) && readFileSync(path, "utf8") === text) return undefined;
  if (isCi())
    throw new Error(
      `${kernelHeader} must match src/backend/kernels/kernels.ts; try npm run build, and commit the file`,
    );
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
  return `${kernelHeader}: written`;
};

if (isMain(import.meta.url)) {
  const line = await generateKernelHeader();
  if (line !== undefined) console.log(line);
}
