"""A step of fine-tuning the same model with transformers and, for adapters, peft. For bench/fine-tune.mjs.

    pip install torch transformers peft

Usage: pytorch_finetune.py TOKENS JSON
TOKENS is a file of int32; step k takes batchSize x contextLength tokens from k x batchSize x contextLength on. JSON:
{"model", "train", "contextLength", "threads", "lora", "dtype", "weights", "attention", "compile"}
model: a directory. lora: null, or rank and alpha. dtype: "float32" or "bfloat16". weights: their dtype; float32 weights with dtype
bfloat16 are autocast. attention: "sdpa" or "eager".
Reads lines {"steps": N} from standard input, trains N steps, answers with a JSON line; repeats until the input ends.
"""

import json
import resource
import sys
import time

import torch
import transformers
from torch import nn

tokens_path, request = sys.argv[1:]
request = json.loads(request)
train, lora = request["train"], request["lora"]
torch.set_num_threads(request["threads"])
torch.manual_seed(1)
transformers.logging.set_verbosity_error()

B, T = train["batchSize"], request["contextLength"]
ids = torch.frombuffer(bytearray(open(tokens_path, "rb").read()), dtype=torch.int32).long()
model = transformers.AutoModelForCausalLM.from_pretrained(
    request["model"],
    dtype=getattr(torch, request["weights"]),
    attn_implementation=request["attention"],
)
model.config.use_cache = False
versions = {"torch": torch.__version__, "transformers": transformers.__version__}
if lora is not None:
    import peft

    versions["peft"] = peft.__version__
    config = peft.LoraConfig(
        r=lora["rank"], lora_alpha=lora["alpha"], lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    model = peft.get_peft_model(model, config)
model.train()
trained = [p for p in model.parameters() if p.requires_grad]
adam = train["optimizer"]
assert adam["kind"] == "adamw"
optimizer = torch.optim.AdamW(
    [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": adam["weightDecay"]},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ],
    lr=train["learningRate"],
    betas=(adam["beta1"], adam["beta2"]),
    eps=adam["eps"],
    fused=True,
)
autocast = request["dtype"] == "bfloat16" and request["weights"] == "float32"


def loss_of(x, y):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        logits = model(input_ids=x).logits
        return nn.functional.cross_entropy(logits.float().view(-1, logits.shape[-1]), y.view(-1))


if request["compile"]:
    loss_of = torch.compile(loss_of)


def step(number):
    at = number * B * T
    x = ids[at : at + B * T].view(B, T)
    y = ids[at + 1 : at + B * T + 1].view(B, T)
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(x, y)
    loss.backward()
    nn.utils.clip_grad_norm_(trained, train["maxGradNorm"])
    optimizer.step()
    return loss.item()


def peak_memory():
    """Peak memory in bytes. On Linux it is VmHWM, because ru_maxrss inherits the value of the parent process."""
    try:
        with open("/proc/self/status") as status:
            return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


print(json.dumps({"versions": versions, "parameters": sum(p.numel() for p in trained)}), flush=True)
done = 0
for line in sys.stdin:
    times, losses = [], []
    for _ in range(json.loads(line)["steps"]):
        began = time.perf_counter()
        losses.append(step(done))
        times.append(time.perf_counter() - began)
        done += 1
    answer = {"milliseconds": [1000 * t for t in times], "losses": losses, "peakMemory": peak_memory()}
    print(json.dumps(answer), flush=True)
