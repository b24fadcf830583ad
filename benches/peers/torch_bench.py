#!/usr/bin/env python3
"""Times one work in PyTorch, deel-torchlip and foolbox and prints one JSON object with the milliseconds of every step.

    pip install -r requirements.txt
    LD_PRELOAD=libtcmalloc_minimal.so.4 python torch_bench.py --work train4096 --data FOLDER [--compile]

Works have the names of those of tslip (see ../works.ts), and do the same: the networks are those of ../networks.ts, a
training step is effective weights, forward and backward pass of the HKR loss, and Adam. The fair opponent is `--compile`
under tcmalloc (Debian: libtcmalloc-minimal4): both help PyTorch a lot.

With `--device cuda` model, images and labels lie on the GPU beforehand, and each time ends when the GPU has finished.
"""
import argparse
import gzip
import json
import re
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from deel import torchlip

CLASSES = 10
ATTACK_SEARCHES, ATTACK_STEPS = 2, 300


def reference():
    return torchlip.Sequential(
        torchlip.SpectralConv2d(1, 16, 3, padding="same"), torchlip.GroupSort2(), torchlip.ScaledL2NormPool2d(2),
        torchlip.SpectralConv2d(16, 32, 3, padding="same"), torchlip.GroupSort2(), torchlip.ScaledL2NormPool2d(2),
        torch.nn.Flatten(), torchlip.SpectralLinear(1568, 64), torchlip.GroupSort2(),
        torchlip.SpectralLinear(64, CLASSES, bias=False))


def mlp():
    return torchlip.Sequential(
        torchlip.SpectralLinear(784, 512), torchlip.GroupSort2(),
        torchlip.SpectralLinear(512, 512), torchlip.GroupSort2(), torchlip.SpectralLinear(512, CLASSES))


def odd():
    return torchlip.Sequential(
        torchlip.SpectralConv2d(3, 9, 5, padding=2), torchlip.GroupSort(3),
        torchlip.SpectralConv2d(9, 33, 5, stride=2, padding=2), torchlip.GroupSort(3), torchlip.ScaledL2NormPool2d(2),
        torch.nn.Flatten(), torchlip.SpectralLinear(33 * 8 * 8, CLASSES))


def wide():
    layers = []
    for before, after in ((3, 64), (64, 128), (128, 256)):
        layers += [torchlip.SpectralConv2d(before, after, 3, padding=1), torchlip.GroupSort2()]
        layers += [torchlip.ScaledL2NormPool2d(2)]
    return torchlip.Sequential(*layers, torch.nn.Flatten(), torchlip.SpectralLinear(256 * 4 * 4, CLASSES))


class Residual(torch.nn.Module):
    """A branch beside its input, mixed by a learnable share."""

    def __init__(self, branch):
        super().__init__()
        self.branch, self.mix = branch, torchlip.LipResidual()

    def forward(self, x):
        return self.mix(x, self.branch(x))

    def vanilla_export(self):
        vanilla = Residual(self.branch.vanilla_export())
        vanilla.mix = self.mix
        return vanilla


def residual():
    blocks = [
        Residual(torchlip.Sequential(torchlip.SpectralConv2d(64, 64, 3, padding=1), torchlip.GroupSort2()))
        for _ in range(6)]
    return torchlip.Sequential(
        torchlip.SpectralConv2d(3, 64, 4, stride=4), *blocks, torchlip.ScaledL2NormPool2d(2),
        torch.nn.Flatten(), torchlip.SpectralLinear(64 * 4 * 4, CLASSES))


def signal():
    return torchlip.Sequential(
        torchlip.SpectralConv1d(4, 64, 7, padding=3), torchlip.GroupSort2(),
        torchlip.SpectralConv1d(64, 64, 3, padding=1), torchlip.GroupSort2(),
        torchlip.SpectralConv1d(64, 64, 5, stride=2, padding=2), torchlip.GroupSort2(),
        torch.nn.Flatten(), torchlip.SpectralLinear(64 * 128, CLASSES))


def sorted_features():
    return torchlip.Sequential(
        torchlip.SpectralLinear(256, 1024), torchlip.FullSort(),
        torchlip.SpectralLinear(1024, 128), torchlip.FullSort(), torchlip.SpectralLinear(128, CLASSES))


# Each network with the shape of a sample.
OTHERS = {
    "mlp": (mlp, (784,)), "odd": (odd, (3, 32, 32)), "wide": (wide, (3, 32, 32)),
    "residual": (residual, (3, 32, 32)),
    "signal": (signal, (4, 256)), "sorted": (sorted_features, (256,)),
}


def fashion_mnist(folder, part):
    """Images [n, 1, 28, 28] in [0, 1] and labels from IDX files, compressed or not."""
    def content(name, header):
        packed = Path(folder, f"{name}.gz")
        data = gzip.decompress(packed.read_bytes()) if packed.exists() else Path(folder, name).read_bytes()
        return np.frombuffer(data[header:], np.uint8)
    images = content(f"{part}-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)
    labels = content(f"{part}-labels-idx1-ubyte", 8)
    return torch.tensor(images.astype(np.float32) / 255), torch.tensor(labels.astype(np.int64))


def hkr(logits, target, alpha=100.0, margin=0.25):
    """hinge-Kantorovich-Rubinstein for classes; `target` is one-hot."""
    classes, t = logits.shape[1], target.float()
    hinge = (((classes - 2) * t + 1) * F.relu(margin - (2 * t - 1) * logits)).mean()
    kr = ((logits * t).sum(0) / t.sum(0) - (logits * (1 - t)).sum(0) / (1 - t).sum(0)).mean()
    return alpha * hinge - kr


def load_weights(model, path):
    """Takes over the weights of a safetensors file: a header in JSON, then raw little-endian values."""
    data = Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header, values = json.loads(data[8:8 + size]), data[8 + size:]
    state = {}
    for key, entry in header.items():
        if key != "__metadata__":
            start, stop = entry["data_offsets"]
            array = np.frombuffer(values[start:stop], np.float32).reshape(entry["shape"])
            state[key] = torch.tensor(array)
    missing = model.load_state_dict(state, strict=False).missing_keys
    if any(key.endswith(("original", "bias")) for key in missing):
        raise SystemExit(f"{path} lacks {', '.join(missing)}")


def milliseconds(run, device):
    """What `run` takes from the time at which the device has nothing else to do until it has finished."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    run()
    wait()
    return 1e3 * (time.perf_counter() - start)


def timed(run, repeats, skip, device):
    """Milliseconds of each call but the first ones."""
    return [milliseconds(run, device) for _ in range(repeats)][skip:]


def training(model, batches, repeats, skip, compiled, device, steps=1):
    """Milliseconds of a step, `steps` of which are timed together. `batches(i)` gives the images and one-hot labels of step
    i; making them is not timed."""
    model.train()
    run = torch.compile(model) if compiled else model
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def train(given):
        for x, y in given:
            optimizer.zero_grad()
            hkr(run(x), y).backward()
            optimizer.step()

    times = []
    for i in range(repeats):
        given = [batches(i * steps + step) for step in range(steps)]
        times.append(milliseconds(lambda: train(given), device) / steps)
    return times[skip:]


def one_hot(labels):
    return F.one_hot(labels, CLASSES)


def exported(model, batches, device):
    """The ordinary network after a few steps, as torchlip fills its buffers while it trains."""
    training(model, batches, 3, 0, False, device)
    vanilla = model.vanilla_export()
    for name, part in vanilla.named_children():
        if isinstance(part, Residual):  # which is no layer of torchlip's, so that it was left as it is
            setattr(vanilla, name, part.vanilla_export())
    return vanilla.eval()


def inference(model, x, repeats, skip, compiled, device):
    run = torch.compile(model) if compiled else model
    with torch.no_grad():
        return timed(lambda: run(x), repeats, skip, device)


def attack(model, images, repeats, skip, compiled, device):
    import foolbox
    run = torch.compile(model) if compiled else model
    wrapped = foolbox.PyTorchModel(run, bounds=(0.0, 1.0), device=device)
    labels = model(images).argmax(-1)
    cw = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=ATTACK_SEARCHES, steps=ATTACK_STEPS, abort_early=False)
    times = timed(lambda: cw(wrapped, images, labels, epsilons=None), repeats, skip, device)
    return [ms / (ATTACK_SEARCHES * ATTACK_STEPS) for ms in times]


def of_reference(work, options):
    device = options.device
    model = reference().to(device)
    x, y = (part.to(device) for part in fashion_mnist(options.data, "train"))

    def batches(size):
        def batch(i):
            at = (i * size) % (len(x) - size + 1)
            return x[at:at + size], one_hot(y[at:at + size])
        return batch

    if work.startswith("train"):
        if work.endswith("Trained10"):
            load_weights(model, options.checkpoint)
        size = int(re.match(r"train(\d+)", work)[1])
        repeats, skip, steps = (12, 2, 1) if size > 1000 else (14, 4, 10)
        return training(model, batches(size), repeats, skip, options.compile, device, steps)
    test = fashion_mnist(options.data, "t10k")[0].to(device)
    vanilla = exported(model, batches(512), device)
    if work == "attack":
        # The first attack compiles, or makes the GPU's kernels known.
        return attack(vanilla, test[:10], 3, 1, options.compile, device)
    size = int(re.match(r"infer(\d+)", work)[1])
    images = test[torch.arange(size, device=device) % len(test)]
    repeats, skip = (12, 2) if size > 1000 else (1200, 200)
    return inference(vanilla, images, repeats, skip, options.compile, device)


def of_other(name, kind, batch, options):
    build, sample = OTHERS[name]
    device = options.device
    model = build().to(device)
    x = torch.rand(10 * batch, *sample, device=device)
    # Every class in turn: HKR needs some samples of each.
    y = one_hot(torch.arange(10 * batch, device=device) % CLASSES)

    def batches(i):
        at = i % 10 * batch
        return x[at:at + batch], y[at:at + batch]

    repeats, skip = (24, 4) if batch > 100 else (120, 20)
    if kind == "Train":
        return training(model, batches, repeats, skip, options.compile, device)
    return inference(exported(model, batches, device), x[:batch], repeats, skip, options.compile, device)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, help="for instance train4096, infer1, attack, oddTrain256, mlpInfer16")
    parser.add_argument("--data", help="folder of Fashion-MNIST's IDX files; only for the reference network")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu",
                        help="where to run; on cuda with PyTorch's defaults: TF32 in convolutions, f32 in products of matrices")
    parser.add_argument("--compile", action="store_true", help="run through torch.compile")
    parser.add_argument("--checkpoint", help="safetensors file of the reference network, for works that end in Trained10")
    options = parser.parse_args()
    torch.manual_seed(0)
    other = re.fullmatch(rf"({'|'.join(OTHERS)})(Train|Infer)(\d+)", options.work)
    if other:
        times = of_other(other[1], other[2], int(other[3]), options)
    elif re.fullmatch(r"train\d+(Trained10)?|infer\d+|attack", options.work):
        if options.data is None or (options.work.endswith("Trained10") and options.checkpoint is None):
            parser.error(f"{options.work} needs --data, and --checkpoint where it ends in Trained10")
        times = of_reference(options.work, options)
    else:
        parser.error(f"there is no work {options.work}")
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "times": times}))


if __name__ == "__main__":
    main()
