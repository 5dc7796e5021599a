"""Compares ids that `node bench/llama-tokenizer.mjs FILE.gguf --write FOLDER` wrote with ids of Hugging Face's `tokenizers`, which
reads the `tokenizer.json` of the same folder. Run by hand:

    pip install tokenizers
    python scripts/checks/check-sentencepiece.py FOLDER

In a text that contains the name of a special token, `tokenizers` finds the token, but foretoken reads ordinary text; such texts are
skipped. Prints the texts whose ids differ. Exit status 1 if there are more than --most of them.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from tokenizers import Tokenizer

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("--most", type=int, default=0)
arguments = parser.parse_args()

tokenizer = Tokenizer.from_file(str(arguments.folder / "tokenizer.json"))
given = json.loads((arguments.folder / "texts.json").read_text())
special = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special]
began = time.time()
compared, other, lost = 0, 0, 0
for text, ids in zip(given["texts"], given["ids"], strict=True):
    if any(name in text for name in special):
        continue
    compared += 1
    theirs = tokenizer.encode(text, add_special_tokens=False).ids
    lost += tokenizer.decode(theirs) != text.replace("\u2581", " ")
    if theirs == ids:
        continue
    other += 1
    if other <= 5:
        at = next((i for i, (a, b) in enumerate(zip(ids, theirs)) if a != b), 0)
        print(repr(text[:100]), "\n  here      ", ids[at : at + 8], "\n  tokenizers", theirs[at : at + 8])
print(f"{compared} texts: {other} with other ids than tokenizers, {lost} that its decoder changes, in {time.time() - began:.1f} s")
sys.exit(1 if other > arguments.most else 0)
