/** Encodes the metadata of a GGUF file: keys with typed values. header.ts reads them. */

/** A value with its type in the file. */
export type TypedValue =
  | { readonly type: "u32" | "i32" | "f32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "text"; readonly value: string }
  | { readonly type: "texts"; readonly value: readonly string[] }
  | { readonly type: "i32s" | "f32s"; readonly value: readonly number[] }
  | { readonly type: "u8s"; readonly value: Uint8Array };

export const u32 = (value: number): TypedValue => ({ type: "u32", value });
export const i32 = (value: number): TypedValue => ({ type: "i32", value });
export const f32 = (value: number): TypedValue => ({ type: "f32", value });
export const flag = (value: boolean): TypedValue => ({ type: "bool", value });
export const text = (value: string): TypedValue => ({ type: "text", value });
export const texts = (value: readonly string[]): TypedValue => ({ type: "texts", value });
export const i32s = (value: readonly number[]): TypedValue => ({ type: "i32s", value });
export const f32s = (value: readonly number[]): TypedValue => ({ type: "f32s", value });
export const u8s = (value: Uint8Array): TypedValue => ({ type: "u8s", value });

const bytesOf = (count: number, write: (view: DataView) => void): Uint8Array => {
  const bytes = new Uint8Array(count);
  write(new DataView(bytes.buffer));
  return bytes;
};

export const u32Bytes = (value: number): Uint8Array => bytesOf(4, (view) => view.setUint32(0, value, true));
export const u64Bytes = (value: number): Uint8Array => bytesOf(8, (view) => view.setBigUint64(0, BigInt(value), true));

/** Concatenates the parts. */
export const joinBytes = (parts: readonly Uint8Array[]): Uint8Array => {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
};

const encoder = new TextEncoder();

/** A string, preceded by its length. */
export const textBytes = (value: string): Uint8Array => {
  const utf8 = encoder.encode(value);
  return joinBytes([u64Bytes(utf8.length), utf8]);
};

/** Type numbers of the format. */
const types = { u8: 0, u32: 4, i32: 5, f32: 6, bool: 7, text: 8, array: 9 } as const;

const bytesOfValue = (typed: TypedValue): readonly Uint8Array[] => {
  switch (typed.type) {
    case "u32":
      return [u32Bytes(types.u32), u32Bytes(typed.value)];
    case "i32":
      return [u32Bytes(types.i32), bytesOf(4, (view) => view.setInt32(0, typed.value, true))];
    case "f32":
      return [u32Bytes(types.f32), bytesOf(4, (view) => view.setFloat32(0, typed.value, true))];
    case "bool":
      return [u32Bytes(types.bool), Uint8Array.of(typed.value ? 1 : 0)];
    case "text":
      return [u32Bytes(types.text), textBytes(typed.value)];
    case "texts":
      return [u32Bytes(types.array), u32Bytes(types.text), u64Bytes(typed.value.length), ...typed.value.map(textBytes)];
    case "i32s":
    case "f32s": {
      const { type, value } = typed;
      const numbers = bytesOf(4 * value.length, (view) => {
        for (const [i, number] of value.entries()) {
          if (type === "i32s") view.setInt32(4 * i, number, true);
          else view.setFloat32(4 * i, number, true);
        }
      });
      return [
        u32Bytes(types.array),
        u32Bytes(type === "i32s" ? types.i32 : types.f32),
        u64Bytes(value.length),
        numbers,
      ];
    }
    case "u8s":
      return [u32Bytes(types.array), u32Bytes(types.u8), u64Bytes(typed.value.length), typed.value];
    default:
      return typed satisfies never;
  }
};

/** A key and its value, encoded as in a file. */
export const pairBytes = (key: string, value: TypedValue): Uint8Array =>
  joinBytes([textBytes(key), ...bytesOfValue(value)]);
