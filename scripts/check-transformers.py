"""Checks that a checkpoint of foretoken is a model in Python's `transformers`: same token ids, same logits. By hand:

    pip install torch transformers safetensors
    python scripts/check-transformers.py runs/NAME              its best weights, else those of its last checkpoint
    python scripts/check-transformers.py runs/NAME/checkpoint

Loads it with AutoModelForCausalLM.from_pretrained and AutoTokenizer and compares with our own logits, on every backend, over
a whole context. Last run with torch 2.15.0, transformers 5.24.0.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

OURS = """
import { writeFileSync } from "node:fs";
import { describeBackends, loadPretrained } from "./dist/index.js";
const [, checkpoint, out, text] = process.argv;
const result = {};
for (const { name, available } of (await describeBackends()).backends) {
  if (!available) continue;
  const lm = await loadPretrained(checkpoint, { backend: name });
  const ids = Array.from(lm.tokenizer.encode(text));
  const { data, shape } = await lm.logits(ids.slice(0, lm.model.config.contextLength));
  result[name] = { ids, shape, logits: Array.from(data) };
  await lm.close();
}
writeFileSync(out, JSON.stringify(result));
"""


def find_checkpoint(arguments):
    """The checkpoint that the arguments name; prints a line and exits unless there is one."""
    if "-h" in arguments or "--help" in arguments:
        print(__doc__.strip())
        sys.exit(0)
    if len(arguments) != 1:
        print(__doc__.strip(), file=sys.stderr)
        sys.exit(2)
    folder = Path(arguments[0]).resolve()
    for checkpoint in (folder, folder / "best", folder / "checkpoint"):
        if (checkpoint / "config.json").is_file():
            return checkpoint
    print(f"check-transformers: the path must be a run or a checkpoint; got no config.json in {folder}", file=sys.stderr)
    sys.exit(2)


def main():
    checkpoint = find_checkpoint(sys.argv[1:])
    # After the check of the arguments: both take seconds to load, or are not there.
    import torch
    import transformers

    print(checkpoint)
    config = json.loads((checkpoint / "config.json").read_text())
    shape = config["foretoken"]["model"]
    context = shape["contextLength"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    model, info = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not info[kind], (kind, info[kind])
    model.eval()

    # Every character of the vocabulary, over and over, in an order without a pattern.
    characters = [tokenizer.decode([i]) for i in range(len(tokenizer))]
    text = "".join(characters[(i * i * 7 + i) % len(characters)] for i in range(context))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "ours.json"
        command = ["node", "--input-type=module", "-e", OURS, str(checkpoint), str(out), text]
        subprocess.run(command, cwd=ROOT, check=True)
        ours = json.loads(out.read_text())

    ids = tokenizer(text)["input_ids"]
    with torch.no_grad():
        theirs = model(torch.tensor([ids])).logits[0]
        exact = model.double()(torch.tensor([ids])).logits[0]
    # Sums of these lengths follow one another (test/support/closeness.ts).
    width, heads, layers = shape["nEmbd"], shape["nHead"], shape["nLayer"]
    length = layers * (9 * width + width // heads + context) + 2 * width
    tolerance = 2**-23 * math.sqrt(length) * theirs.abs().max().item()
    print(f"transformers {transformers.__version__}, torch {torch.__version__}; tolerance {tolerance:.2e}")
    print(f"  theirs in float32 against float64: {(theirs - exact).abs().max().item():.2e}")
    for name, result in ours.items():
        assert result["ids"] == ids, f"{name}: token ids differ"
        logits = torch.tensor(result["logits"]).reshape(result["shape"])
        error = (logits - theirs).abs().max().item()
        print(f"  {name}: {len(ids)} ids agree; largest difference of {logits.numel()} logits {error:.2e}")
        assert error <= tolerance, name


if __name__ == "__main__":
    main()
