"""Checks that other software reads the files that foretoken writes, and that foretoken reads theirs. Run by hand after a build:

    pip install safetensors tokenizers transformers numpy torch
    python scripts/checks/check-formats.py [TEXT_FILE]

Tokenizer: the Python `tokenizers` and `transformers` libraries load our tokenizer.json and give the same ids for the
same text, and decode them to the same text. Safetensors: both sides read the tensors of the other side to the bit,
in float32, float16 and bfloat16. Last run with tokenizers 0.23.3, transformers 5.24.0, safetensors 0.8.0.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import safetensors
import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[2]


def foretoken(program: str, *arguments: str) -> None:
    """Runs JavaScript with the built package at hand."""
    command = ["node", "--input-type=module", "-e", program, *arguments]
    subprocess.run(command, cwd=ROOT, check=True)


WRITE_TOKENIZER = """
import { readFileSync, writeFileSync } from "node:fs";
import { charTokenizer, trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { tokenizerConfigJson } from "#foretoken/tokenizer/tokenizer-json.js";
const [, folder] = process.argv;
const text = readFileSync(`${folder}/text`, "utf8");
const tokenizer = trainCharTokenizer(text);
writeFileSync(`${folder}/tokenizer.json`, JSON.stringify(tokenizer));
writeFileSync(`${folder}/tokenizer_config.json`, JSON.stringify(tokenizerConfigJson(128, tokenizer)));
writeFileSync(`${folder}/ids.json`, JSON.stringify([...tokenizer.encode(text)]));
const special = charTokenizer(tokenizer.characters, ["<|system|>", "<|endoftext|>"]);
writeFileSync(`${folder}/special.json`, JSON.stringify(special));
"""


def check_tokenizer(text: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "text").write_bytes(text.encode())
        # The architecture whose own tokenizer class must not be used.
        (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
        foretoken(WRITE_TOKENIZER, name)
        ids = json.loads((folder / "ids.json").read_text())

        fast = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        assert fast.encode(text).ids == ids
        assert fast.decode(ids) == text
        special = tokenizers.Tokenizer.from_file(str(folder / "special.json"))
        end = special.token_to_id("<|endoftext|>")
        assert (end, special.get_vocab_size()) == (len(set(text)) + 1, len(set(text)) + 2)
        assert special.encode(text).ids == ids
        assert special.decode([*ids, end]) == text
        assert special.decode([end], skip_special_tokens=False) == "<|endoftext|>"
        try:
            fast.encode("\U0010fffd")
        except Exception as error:
            assert "UNK" in str(error), error
        else:
            raise AssertionError("an unknown character was given an id")

        auto = transformers.AutoTokenizer.from_pretrained(name)
        assert auto(text)["input_ids"] == ids
        assert auto.decode(ids) == text
        assert auto.all_special_tokens == [], auto.all_special_tokens
        assert auto.bos_token_id is None and auto.eos_token_id is None and auto.unk_token_id is None
        assert len(auto) == auto.vocab_size == len(set(text))
        print(f"tokenizer: {len(ids)} ids of {len(set(text))} characters agree")


SAFETENSORS_BOTH_WAYS = """
import { readFileSync, writeFileSync } from "node:fs";
import { readSafetensors, writeSafetensors } from "#foretoken/io/safetensors.js";
const [, folder] = process.argv;
const { tensors, metadata } = readSafetensors(readFileSync(`${folder}/theirs`), "theirs");
writeFileSync(`${folder}/ours`, writeSafetensors(tensors.values(), metadata));
"""


def check_safetensors() -> None:
    torch.manual_seed(1)
    tensors = {
        "scalar": torch.tensor(1.5),
        "0": torch.randn(3, 5),
        "empty": torch.zeros(0, 4),
        "transformer.h.0.attn.c_attn.weight": torch.randn(16, 48),
        'odd "name"\n😀': torch.randn(7),
        "special": torch.tensor([0.0, -0.0, torch.inf, -torch.inf, torch.nan, 1e-45, 3.4e38]),
        # Every bit pattern of both 16-bit formats.
        "half": torch.arange(2**16, dtype=torch.int32).to(torch.uint16).view(torch.float16),
        "brain": torch.arange(2**16, dtype=torch.int32).to(torch.uint16).view(torch.bfloat16),
    }
    with tempfile.TemporaryDirectory() as folder:
        save_file(tensors, f"{folder}/theirs", {"format": "pt", "note": "é"})
        foretoken(SAFETENSORS_BOTH_WAYS, folder)
        back = load_file(f"{folder}/ours")
        with safetensors.safe_open(f"{folder}/ours", "pt") as file:
            assert file.metadata() == {"format": "pt", "note": "é"}, file.metadata()
        assert back.keys() == tensors.keys()
        for name, tensor in tensors.items():
            expected, got = tensor.to(torch.float32).numpy(), back[name].numpy()
            assert got.dtype == np.float32 and got.shape == expected.shape, name
            nan = np.isnan(expected)
            assert (np.isnan(got) == nan).all(), name
            assert (got.view(np.uint32) == expected.view(np.uint32))[~nan].all(), name
        print(f"safetensors: {len(tensors)} tensors agree to the bit, both ways")


def main() -> None:
    check_tokenizer("First\tCitizen:\r\n \n\n\"it's\" “it’s” 😀 👩\u200d💻 e\u0301 é 日本 \x85\u2028\u00a0\u3000 0123456789 ##a [UNK] <s>\\n")
    if len(sys.argv) > 1:
        check_tokenizer(Path(sys.argv[1]).read_bytes().decode())
    check_safetensors()


if __name__ == "__main__":
    main()
