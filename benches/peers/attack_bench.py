#!/usr/bin/env python3
"""Runs foolbox's attacks on a network of tslip's, and answers each request of ../attacks.ts, a line of JSON, by a line of JSON.

    python attack_bench.py --weights FILE --images FILE --labels FILE

The network is the ordinary one that the reference network exports, with its weights; images are float32 in [0, 1].
"""
import argparse
import json
import sys
import time
import warnings

import foolbox
import numpy as np
import torch
from deel import torchlip
from foolbox.attacks.base import FlexibleDistanceMinimizationAttack
from foolbox.attacks.brendel_bethge import BrendelBethgeAttack

from torch_bench import load_weights


def network():
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 3, padding="same"), torchlip.GroupSort2(), torchlip.ScaledL2NormPool2d(2),
        torch.nn.Conv2d(16, 32, 3, padding="same"), torchlip.GroupSort2(), torchlip.ScaledL2NormPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(1568, 64), torchlip.GroupSort2(), torch.nn.Linear(64, 10, bias=False))


def answer(model, images, labels, request):
    """Seconds of each run, and the distance of each image by the attack's own norm where it was fooled."""
    x, y = images[:request["batch"]], labels[:request["batch"]]
    attack = getattr(foolbox.attacks, request["attack"])(**request["options"])
    if isinstance(attack, FlexibleDistanceMinimizationAttack):
        # Not every one of them takes it as an argument.
        attack._distance = foolbox.distances.l2
    if hasattr(attack, "feed"):
        attack.feed(model, x)
    if isinstance(attack, BrendelBethgeAttack):
        # numba compiles at the first run, which is no part of the attack.
        attack(model, x[:1], y[:1], epsilons=None)
    order = {"L0": 0, "L1": 1, "L2": 2, "Linf": np.inf}[request["norm"]]
    seconds = []
    for _ in range(request["runs"]):
        torch.manual_seed(0)
        np.random.seed(0)
        start = time.perf_counter()
        _, clipped, success = attack(model, x, y, epsilons=request["epsilon"])
        seconds.append(time.perf_counter() - start)
    moved = (clipped - x).flatten(1).detach().double().numpy()
    distances = np.array([np.linalg.norm(row, order) for row in moved])
    found = np.where(success.numpy(), distances, -1)
    return {"seconds": seconds, "distances": found.tolist()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("weights", "images", "labels"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    model = network()
    load_weights(model, options.weights)
    images = torch.tensor(np.fromfile(options.images, np.float32).reshape(-1, 1, 28, 28))
    labels = torch.tensor(np.fromfile(options.labels, np.int32).astype(np.int64))
    wrapped = foolbox.PyTorchModel(model.eval(), bounds=(0.0, 1.0), device="cpu")
    for line in sys.stdin:
        print(json.dumps(answer(wrapped, images, labels, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
