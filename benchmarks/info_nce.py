"""What a symmetric contrastive loss costs, forward and backward: bouba's tiles against CLIP's formula.

    python benchmarks/info_nce.py --batch 4096 --dim 512 --repeats 5 > info_nce.json

From normalised float32 features at scale 100, random and solved (each pair nearly equal). Times are CPU-seconds of
paired, alternating runs in one process: read the ratios. Memory is the peak of a fresh process that computes, less
the peak of one that only holds the same inputs. Busy neighbours make threads wait for each other, which counts
as CPU time: --threads 1 is the quietest.

The rival takes its logits per text from the transposed logits per image, as open_clip does where it can; its
second product instead would cost 1.5 times as much.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time

import torch
from torch.nn import functional as F

from bouba.terms.info_nce import info_nce

TEMPERATURE = 0.01


def naive(a, b, temperature, tile=None):
    logits = 1 / temperature * a @ b.T
    labels = torch.arange(len(a))
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def dot(a, b, temperature, tile=None):
    """Like for like: features come normalised."""
    return info_nce(a, b, temperature=temperature, similarity="dot", tile=tile)


def cosine(a, b, temperature, tile=None):
    """What a user calls: normalises once more."""
    return info_nce(a, b, temperature=temperature, tile=tile)


VARIANTS = {"naive": naive, "bouba": dot, "bouba_cosine": cosine}


def features(batch, dim, kind):
    """Two (batch, dim) leaves with unit rows, made in place so that their making leaves no peak."""
    draw = torch.Generator().manual_seed(0)
    a, b = (torch.empty(batch, dim).normal_(generator=draw) for _ in range(2))
    a.div_(a.norm(dim=1, keepdim=True))
    if kind == "solved":
        b.mul_(0.02).add_(a)
    b.div_(b.norm(dim=1, keepdim=True))
    return a.requires_grad_(), b.requires_grad_(), torch.tensor(TEMPERATURE, requires_grad=True)


def step(variant, leaves, tile):
    for leaf in leaves:
        leaf.grad = None
    loss = VARIANTS[variant](*leaves, tile)
    loss.backward()
    return loss.item()


def seconds(args, kind):
    """variant -> CPU-seconds of each repeat."""
    leaves = features(args.batch, args.dim, kind)
    spent = {variant: [] for variant in VARIANTS}
    for repeat in range(args.repeats + 1):
        for variant in VARIANTS:
            if kind == "solved" and variant == "naive" and (args.batch > 4096 or repeat > 1):
                continue  # denormals: half a minute at 4,096
            start = time.process_time()
            step(variant, leaves, args.tile)
            if repeat:  # the first one warms up
                spent[variant].append(time.process_time() - start)
    return spent


def peak_mb(args, variant):
    """Highest resident memory of a fresh process; `inputs` computes nothing."""
    options = ["--batch", args.batch, "--dim", args.dim, "--threads", args.threads, "--holding", variant]
    if args.tile is not None:
        options += ["--tile", args.tile]
    out = subprocess.run([sys.executable, __file__, *map(str, options)], capture_output=True, text=True, check=True)
    return json.loads(out.stdout)


def hold(args):
    for variant in VARIANTS:  # libraries load what they load on first use
        step(variant, features(8, args.dim, "random"), None)
    leaves = features(args.batch, args.dim, "random")
    if args.holding != "inputs":
        step(args.holding, leaves, args.tile)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def summary(args):
    inputs = peak_mb(args, "inputs")
    result = {
        "batch": args.batch,
        "dim": args.dim,
        "extra_mb": {variant: round(peak_mb(args, variant) - inputs, 1) for variant in VARIANTS},
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "threads": torch.get_num_threads(),
        "processor": platform.processor() or platform.machine(),
        "seed": 0,
    }
    for kind in ("random", "solved"):
        spent = seconds(args, kind)
        result[kind] = {"cpu_s": {variant: [round(s, 4) for s in times] for variant, times in spent.items()}}
        rival = spent["naive"]
        ratios = {
            variant: sorted(ours / theirs for ours, theirs in zip(times, rival))
            for variant, times in spent.items()
            if variant != "naive" and rival
        }
        result[kind]["ratio_to_naive"] = {
            variant: {"median": round(statistics.median(r), 3), "range": [round(r[0], 3), round(r[-1], 3)]}
            for variant, r in ratios.items()
        }
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tile", type=int, help="default: what bouba picks")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--holding", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.holding:
        hold(args)
    else:
        print(json.dumps(summary(args), indent=2))


if __name__ == "__main__":
    main()
