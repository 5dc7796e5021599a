"""Writes test/fixtures/tokenizers.json: how Hugging Face's `tokenizers` (Rust) splits, encodes and trains. Run by hand:

    pip install tokenizers
    python scripts/make-fixtures-tokenizers.py

Texts are put together by a seeded choice from ten scripts, emoji, combining marks, numbers, contractions in odd case,
white space of all kinds and code. For each split pattern: the pieces of each text, a tokenizer that was trained on all of
them, and its ids. Then small tokenizers of other kinds, with their ids and decoded texts. Last: the characters that
`tokenizers` puts into the classes \\p{L}, \\p{N} and \\s, as ranges, for a comparison with a JavaScript engine.
"""

import json
import random
from pathlib import Path

import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SEED = 20
ROOT = Path(__file__).resolve().parent.parent
ByteLevel = pre_tokenizers.ByteLevel

PARTS = (
    "the quick brown fox jumps over  lazy dogs|It's|DON'T|we'Ll|they'VE|I'm|'S|'\u017f|x'd|rock 'n' roll|''s|'"
    "|Ελληνικά γράμματα|Русский текст|עברית|مرحبا بالعالم|नमस्ते दुनिया|বাংলা|ภาษาไทย|日本語の文章|中文字符|한국어 문장|ქართული|አማርኛ"
    "|😀|👨‍👩‍👧‍👦|🇩🇪🇫🇷|👍🏽|e\u0301|n\u0303o|Z\u0351\u036b\u0343|é|ﬁ|ß|İ|Ⅷ|½|x²|१२३|٤٥٦|1|12|123|1234567|3.14|1,000|0x1F|𝟘𝟙"
    "| |  |   |\t|\n|\n\n|\r\n|\r|\r\n\r\n|\u00a0|\u2003|\u3000|\u2028|\u0085|\u000b|\u200b|\ufeff|\u001c|\u180e"
    "|!|...|?!|--|—|“quoted”|$5|100%|a_b|__proto__|<|endoftext|>|#include <stdio.h>|for (let i = 0; i < n; i++) {\n    x += y[i];\n}"
    "|\tif a:\n\t\tpass\n|https://example.org/a?b=c&d|user@example.org|\u0000|\u007f|\U0010ffff|\ue000"
).split("|")


def texts():
    rng = random.Random(SEED)
    mixed = ["".join(rng.choice(PARTS) for _ in range(rng.randint(1, 24))) for _ in range(240)]
    return [*PARTS, *mixed, " " * 300, "a" * 300, "\n" * 50 + "x"]


def gpt4(numbers):
    pattern = rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{numbers}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    return pre_tokenizers.Sequence([split, ByteLevel(add_prefix_space=False, use_regex=False)])


DIGITS = pre_tokenizers.Digits(individual_digits=True)
PATTERNS = {
    "gpt2": ByteLevel(add_prefix_space=False),
    "gpt4": gpt4(r"\p{N}{1,3}"),
    "llama3": gpt4(r"\p{N}{1,3}"),
    "qwen2": gpt4(r"\p{N}"),
    "smollm": pre_tokenizers.Sequence([DIGITS, ByteLevel(add_prefix_space=False, use_regex=True)]),
}


def byte_level(name, samples):
    pre_tokenizer = PATTERNS[name]
    tokenizer = Tokenizer(models.BPE(ignore_merges=name == "llama3"))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    if name == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        min_frequency=2,
        special_tokens=[],
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    # The pieces of another normal form are not those that the test splits.
    training = [text for text in samples if name != "qwen2" or text == normalizers.NFC().normalize_str(text)]
    tokenizer.train_from_iterator(training, trainer)
    # In no text: its name would be found there.
    tokenizer.add_special_tokens(["<|im_end|>"])
    return {
        "json": json.loads(tokenizer.to_str()),
        "pieces": [[end - start for _, (start, end) in pre_tokenizer.pre_tokenize_str(text)] for text in samples],
        "ids": [tokenizer.encode(text).ids for text in samples],
        "training": [samples.index(text) for text in training],
    }


def other_kinds(samples):
    plain = [text for text in samples if text.strip() and "\u0000" not in text]
    space = pre_tokenizers.Metaspace()

    unigram = Tokenizer(models.Unigram())
    unigram.pre_tokenizer, unigram.decoder = space, decoders.Metaspace()
    unigram.train_from_iterator(
        plain, trainers.UnigramTrainer(vocab_size=400, unk_token="<unk>", special_tokens=["<unk>", "</s>"], show_progress=False)
    )

    wordpiece = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    wordpiece.pre_tokenizer, wordpiece.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    wordpiece.train_from_iterator(
        plain, trainers.WordPieceTrainer(vocab_size=500, special_tokens=["[UNK]", "[SEP]"], show_progress=False)
    )

    # As Llama 2's: characters, merges, and a token for each byte.
    llama2 = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    llama2.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    llama2.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *[f"<0x{byte:02X}>" for byte in range(256)]]
    llama2.train_from_iterator(
        ["the quick brown fox jumps over the lazy dog", "it is the text of the test"] * 3,
        trainers.BpeTrainer(vocab_size=320, special_tokens=special, show_progress=False),
    )
    llama2 = json.loads(llama2.to_str())
    llama2["added_tokens"] = llama2["added_tokens"][:3]
    llama2 = Tokenizer.from_str(json.dumps(llama2))

    chosen = ["the quick fox", "it is the test", "a text", "Hello,  world", "naïve 😀", "日本"]
    made = {"unigram": unigram, "wordpiece": wordpiece, "llama2": llama2}
    return {
        name: {
            "json": json.loads(one.to_str()),
            "samples": [
                {"text": text, "ids": ids, "decoded": one.decode(ids)}
                for text in chosen
                for ids in [one.encode(text, add_special_tokens=False).ids]
            ],
        }
        for name, one in made.items()
    }


def ranges(pattern):
    """Code points of a class, as [first, last] pairs."""
    points = [point for point in range(0x110000) if not 0xD800 <= point <= 0xDFFF]
    inside = []
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    outside = set()
    for piece, _ in split.pre_tokenize_str("".join(map(chr, points))):
        outside.update(map(ord, piece))
    for point in points:
        if point in outside:
            continue
        if inside and inside[-1][1] == point - 1:
            inside[-1][1] = point
        else:
            inside.append([point, point])
    return inside


samples = texts()
fixture = {
    "origin": {"script": "scripts/make-fixtures-tokenizers.py", "tokenizers": tokenizers.__version__, "seed": SEED},
    "texts": samples,
    "patterns": {name: byte_level(name, samples) for name in PATTERNS},
    "others": other_kinds(samples),
    "classes": {"L": ranges(r"\p{L}"), "N": ranges(r"\p{N}"), "space": ranges(r"\s")},
}
path = ROOT / "test/fixtures/tokenizers.json"
path.write_text(json.dumps(fixture, ensure_ascii=True, separators=(",", ":")) + "\n")
print(path, path.stat().st_size)
