"""Writes test/fixtures/encodings.gguf and encodings.safetensors: tensors in every encoding of GGUF that is read, with random
blocks, and the float32 numbers that PyPI's `gguf` makes of them. Run by hand:

    pip install gguf numpy safetensors
    python scripts/make-fixtures-gguf.py

The file also has metadata of every type. Last run with gguf 0.19.0, numpy 2.4.6.
"""

from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Encoding
from gguf import GGUFValueType as Type
from safetensors.numpy import save_file

FIXTURES = Path(__file__).resolve().parent.parent / "test" / "fixtures"
SEED = 20
ROWS, COLUMNS = 2, 512
ENCODINGS = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
# Places of a block's binary16 scales, in bytes.
SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
# Zero, the smallest and the largest numbers, both signs; blocks after these have random scales.
EXTREMES = np.array([0, 0x8000, 1, 0x8001, 0x3FF, 0x400, 0x7BFF, 0xFBFF], dtype="<u2")

METADATA = [
    ("u8", 200, Type.UINT8), ("i8", -100, Type.INT8), ("u16", 60000, Type.UINT16), ("i16", -30000, Type.INT16),
    ("u32", 4_000_000_000, Type.UINT32), ("i32", -2_000_000_000, Type.INT32), ("f32", 0.15625, Type.FLOAT32),
    ("bool", True, Type.BOOL), ("text", "grüße\0\n", Type.STRING), ("u64", 2**63 + 1, Type.UINT64),
    ("i64", -(2**53) + 1, Type.INT64), ("f64", 0.1, Type.FLOAT64),
]


def random_bytes(rng: np.random.Generator, name: str) -> np.ndarray:
    """[ROWS, bytes of a row]"""
    block, size = gguf.GGML_QUANT_SIZES[Encoding[name]]
    count = ROWS * COLUMNS // block
    data = rng.integers(0, 256, (count, size), dtype=np.uint8)
    if name == "F32":
        data = rng.standard_normal(count).astype("<f4").view(np.uint8)
    elif name == "F16":
        words = rng.integers(0, 2**16, count, dtype="<u2")
        words[words & 0x7C00 == 0x7C00] &= 0xBFFF
        data = np.concatenate([EXTREMES, words[len(EXTREMES) :]]).view(np.uint8)
    elif name == "BF16":
        words = rng.integers(0, 2**16, count, dtype="<u2")
        words[words & 0x7F80 == 0x7F80] &= 0xBFFF
        data = words.view(np.uint8)
    for at in SCALES.get(name, []):
        scales = rng.standard_normal(count).astype("<f2").view("<u2")
        known = min(len(EXTREMES), count - 1)
        scales[:known] = np.roll(EXTREMES, at)[:known]
        data[:, at : at + 2] = scales.view(np.uint8).reshape(count, 2)
    return data.reshape(ROWS, -1)


def main() -> None:
    rng = np.random.default_rng(SEED)
    writer = gguf.GGUFWriter(FIXTURES / "encodings.gguf", "fixture")
    for key, value, kind in METADATA:
        writer.add_key_value(key, value, kind)
    for key, values in [("u16s", [1, 65535]), ("f32s", [0.5, -2.0]), ("bools", [True, False])]:
        kind = {"u16s": Type.UINT16, "f32s": Type.FLOAT32, "bools": Type.BOOL}[key]
        writer.add_key_value(key, values, Type.ARRAY, sub_type=kind)
    writer.add_array("texts", ["a", "", "ß"])
    writer.add_array("lists", [[1, 2], [3]])
    expected = {}
    for name in ENCODINGS:
        data = random_bytes(rng, name)
        raw = data.view("<f4") if name == "F32" else data
        writer.add_tensor(name, raw, raw_dtype=Encoding[name])
        expected[name] = gguf.quants.dequantize(raw, Encoding[name]).astype("<f4").reshape(ROWS, COLUMNS)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    origin = {"script": "scripts/make-fixtures-gguf.py", "gguf": "0.19.0", "numpy": np.__version__, "seed": str(SEED)}
    save_file(expected, FIXTURES / "encodings.safetensors", metadata=origin)


if __name__ == "__main__":
    main()
