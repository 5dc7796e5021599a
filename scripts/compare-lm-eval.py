"""Scores two tasks of lm-evaluation-harness with a running server and with transformers, and compares the figures. Run by hand:

    pip install "lm-eval[api]" torch transformers
    npx foretoken serve MODEL --dtype float32 --port 8000
    python scripts/compare-lm-eval.py MODEL TEXT [--url http://127.0.0.1:8000] [--questions 60] [--pages 12]

MODEL is a directory in Hugging Face's form; TEXT is a text file. The script makes two local tasks from the text: multiple choice (which of
four lines comes next) and perplexity (loglikelihood_rolling). The harness scores them through `local-completions`, once with the server's
tokenizer and once with the model's own, and through `hf` in float32. Prints every figure. Fails if one differs by more than 1e-3, or, for
figures above 1, by more than a thousandth. Last run with lm-eval 0.4.13, transformers 5.24.0 and torch 2.15.0.
"""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("text")
parser.add_argument("--url", default="http://127.0.0.1:8000")
parser.add_argument("--name", default=None, help="the model's id on the server; default: the folder's name")
parser.add_argument("--questions", type=int, default=60)
parser.add_argument("--pages", type=int, default=12)
asked = parser.parse_args()

import lm_eval  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402

folder = Path(tempfile.mkdtemp(prefix="foretoken-lm-eval-"))
draw = random.Random(1)
text = Path(asked.text).read_text()
lines = [line for line in text.splitlines() if len(line) > 20]

with open(folder / "questions.jsonl", "w") as file:
    for _ in range(asked.questions):
        at = draw.randrange(len(lines) - 4)
        choices = [lines[at + 3], *draw.sample(lines, 3)]
        draw.shuffle(choices)
        gold = choices.index(lines[at + 3])
        file.write(json.dumps({"context": "\n".join(lines[at : at + 3]), "choices": choices, "gold": gold}) + "\n")
with open(folder / "pages.jsonl", "w") as file:
    for _ in range(asked.pages):
        at = draw.randrange(len(text) - 1500)
        file.write(json.dumps({"page": text[at : at + draw.randrange(200, 1500)]}) + "\n")

for name, data, task in [
    (
        "foretoken_choice",
        "questions.jsonl",
        'output_type: multiple_choice\ndoc_to_text: "{{context}}"\ndoc_to_choice: choices\ndoc_to_target: gold\ntarget_delimiter: "\\n"\n'
        "metric_list:\n  - metric: acc\n  - metric: acc_norm\n",
    ),
    (
        "foretoken_pages",
        "pages.jsonl",
        'output_type: loglikelihood_rolling\ndoc_to_text: ""\ndoc_to_target: "{{page}}"\n'
        "metric_list:\n  - metric: word_perplexity\n  - metric: byte_perplexity\n  - metric: bits_per_byte\n",
    ),
]:
    head = f"task: {name}\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {folder / data}\ntest_split: test\n"
    (folder / f"{name}.yaml").write_text(f"{head}{task}metadata:\n  version: 1\n")

tasks = ["foretoken_choice", "foretoken_pages"]
name = asked.name or Path(asked.model).name
server = {"model": name, "base_url": f"{asked.url}/v1/completions", "num_concurrent": 4, "max_length": 2048}
ways = {
    "hf": ("hf", {"pretrained": asked.model, "dtype": "float32", "device": "cpu", "max_length": 2047}),
    "server's tokenizer": ("local-completions", {**server, "tokenizer_backend": "remote"}),
    "own tokenizer": ("local-completions", {**server, "tokenizer_backend": "huggingface", "tokenizer": asked.model}),
}
manager = TaskManager(include_path=str(folder))
figures = {}
for way, (model, args) in ways.items():
    found = lm_eval.simple_evaluate(
        model=model, model_args=args, tasks=tasks, task_manager=manager, batch_size=1, bootstrap_iters=0, log_samples=True
    )
    for task in tasks:
        for metric, value in found["results"][task].items():
            if isinstance(value, float) and "stderr" not in metric:
                figures.setdefault(f"{task} {metric.split(',')[0]}", {})[way] = value
        sums = [
            pair[0]
            for sample in sorted(found["samples"][task], key=lambda one: one["doc_id"])
            for pair in sample["filtered_resps"]
            if isinstance(pair, (tuple, list))
        ]
        if sums:
            figures.setdefault(f"{task} mean log-likelihood", {})[way] = sum(float(one) for one in sums) / len(sums)

print(f"lm-eval {lm_eval.__version__}, transformers {transformers.__version__}, torch {torch.__version__}")
failed = False
for figure, by_way in figures.items():
    reference = by_way["hf"]
    worst = max(abs(value - reference) for value in by_way.values()) / max(1, abs(reference))
    failed |= worst > 1e-3
    print(f"{figure}: " + ", ".join(f"{way} {value:.6f}" for way, value in by_way.items()) + f"; difference {worst:.1e}")
sys.exit(1 if failed else 0)
