"""Trains and encodes with Hugging Face's `tokenizers`, and encodes with `tiktoken`. Prints seconds as JSON. For
bench/tokenizer.mjs:

    python bench/peers/tokenizers_bpe.py train FILE VOCAB_SIZE
    python bench/peers/tokenizers_bpe.py encode FILE TOKENIZER_JSON

`tokenizers` trains with its default number of threads. It reads a file line by line, so its pieces end at line ends. Both
encode on one thread. `tokenizers` encodes chunks of about 100 kB, because it keeps much more in memory than the ids.
"""

import json
import sys
import time

import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

ByteLevel = pre_tokenizers.ByteLevel


def train(file, vocab_size):
    began = time.perf_counter()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=2, initial_alphabet=ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train([file], trainer)
    return {"train": time.perf_counter() - began, "version": tokenizers.__version__}


def chunks(text, size=100_000):
    at = 0
    while at < len(text):
        end = text.find("\n", at + size) + 1 or len(text)
        yield text[at:end]
        at = end


def bytes_of_alphabet():
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(256 + i): byte for i, byte in enumerate(hidden)}


def encode(file, path):
    text = open(file, encoding="utf-8", newline="").read()
    parts = list(chunks(text))
    tokenizer = Tokenizer.from_file(path)
    began = time.perf_counter()
    tokens = sum(len(tokenizer.encode(part).ids) for part in parts)
    result = {"tokenizers": time.perf_counter() - began, "tokenizersTokens": tokens}
    try:
        import tiktoken
    except ImportError:
        return result
    alphabet = bytes_of_alphabet()
    vocab = json.load(open(path, encoding="utf-8"))["model"]["vocab"]
    ranks = {bytes(alphabet[character] for character in token): rank for token, rank in vocab.items()}
    pattern = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    encoding = tiktoken.Encoding("bench", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    began = time.perf_counter()
    tokens = sum(len(encoding.encode_ordinary(part)) for part in parts)
    return result | {"tiktoken": time.perf_counter() - began, "tiktokenTokens": tokens, "version": tiktoken.__version__}


action, file, argument = sys.argv[1:]
print(json.dumps(train(file, int(argument)) if action == "train" else encode(file, argument)))
