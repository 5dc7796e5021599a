"""Evaluates a GGUF file with transformers, to compare with `foretoken evaluate` on the same file. Run by hand:

    pip install accelerate gguf numpy torch transformers
    python scripts/checks/check-gguf.py MODEL.gguf TEXT [WINDOW ...]

transformers reads the GGUF file with its own reader and computes in float32. As in `evaluate`, the last tenth of TEXT's
characters is cut into windows of WINDOW tokens (default: 256 and 1024) that do not overlap. If the tokenizer begins a text with
a BOS token, each window begins with BOS, too, and its other tokens are from the text. Prints tokens and nats per character. Last run with gguf 0.19.0, transformers 5.24.0, torch 2.15.0.
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def nats(model: torch.nn.Module, ids: torch.Tensor, window: int, bos: int | None) -> float:
    """Sum over all tokens, or, without a BOS, over all tokens after the first."""
    total = 0.0
    given = ids if bos is None else torch.cat([torch.tensor([bos]), ids])
    with torch.inference_mode():
        for start in range(0, len(given) - 1, window):
            targets = given[start + 1 : start + 1 + window]
            inputs = given[start : start + len(targets)].clone()
            if bos is not None:
                inputs[0] = bos
            logits = model(inputs[None]).logits[0]
            losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
            total += losses.double().sum().item()
    return total


def main() -> None:
    path, text_path, *windows = sys.argv[1:]
    folder, name = str(Path(path).parent), Path(path).name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
    text = Path(text_path).read_text(encoding="utf-8")
    held_out = text[len(text) * 9 // 10 :]
    ids = torch.tensor(tokenizer(held_out, add_special_tokens=False)["input_ids"])
    first = tokenizer("a")["input_ids"][0]
    bos = first if first == tokenizer.bos_token_id else None
    print(f"{len(held_out)} characters, {len(ids)} tokens, {'no BOS' if bos is None else f'BOS {bos}'}")
    for window in [int(word) for word in windows] or [256, 1024]:
        total = nats(model, ids, window, bos)
        predictions = len(ids) - (1 if bos is None else 0)
        print(f"windows of {window}: {total / len(held_out):.6f} nats a character, {total / predictions:.6f} a token")


if __name__ == "__main__":
    main()
