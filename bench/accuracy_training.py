"""What accuracy.py trains: a residual network of adjustable size, the task, and the jobs of a process pool."""

import json
import pathlib
import sys
import types

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from procedural_data import CLASSES, SIZE, make_data

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "examples"))
from finetune import accuracy, array_loader, export_onnx, finetune, load_module  # noqa: E402

# Seeds of the parts of the task, and the share of the images to train on that each has.
PARTS = {"train": (11, 1.0), "test": (12, 0.5), "calibration": (13, 0.125)}


class Block(nn.Module):
    def __init__(self, ci, co, stride):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(ci, co, 3, stride, 1, bias=False), nn.BatchNorm2d(co)
        self.conv2, self.norm2 = nn.Conv2d(co, co, 3, 1, 1, bias=False), nn.BatchNorm2d(co)
        self.shortcut = None
        if stride != 1 or ci != co:
            self.shortcut = nn.Sequential(nn.Conv2d(ci, co, 1, stride, bias=False), nn.BatchNorm2d(co))

    def forward(self, x):
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + (self.shortcut(x) if self.shortcut else x))


class ResNet(nn.Module):
    """The layout of resnet34-cifar10 (blocks 3 4 6 3, width 64) at any width and depth."""

    def __init__(self, blocks, width):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        layers, ci = [], width
        for stage, count in enumerate(blocks):
            for i in range(count):
                co = width << stage
                layers.append(Block(ci, co, 2 if stage > 0 and i == 0 else 1))
                ci = co
        self.layers, self.classes = nn.Sequential(*layers), nn.Linear(ci, CLASSES)

    def forward(self, x):
        return self.classes(self.layers(F.relu(self.norm(self.stem(x)))).mean((2, 3)))


def device():
    return "cuda" if torch.cuda.is_available() else "cpu"


def task(folder, options):
    """Writes images and labels of each part where they are missing; {part: (images.npy, labels.npy)}."""
    files = {}
    for part, (seed, share) in PARTS.items():
        images, labels = folder / f"{part}_images.npy", folder / f"{part}_labels.npy"
        if not labels.exists():
            x, y = make_data(max(256, int(options.images * share)), seed, options.noise)
            np.save(images, x)
            np.save(labels, y)
        files[part] = (images, labels)
    return files


def arrays(files):
    return np.load(files[0]), np.load(files[1])


def train_original(folder, files, options, say):
    """Trains the network and writes it as original.onnx, once; its accuracy on the test images."""
    result = folder / "original.json"
    if not result.exists():
        torch.manual_seed(options.seed)
        net = ResNet(options.blocks, options.width).to(device())
        finetune(net, array_loader(*arrays(files["train"]), options.batch, options.seed), options.epochs, options.rate,
                 each_epoch=lambda e, loss: say(f"original: epoch {e + 1} of {options.epochs}, loss {loss:.4f}"),
                 bfloat16=options.bfloat16)
        score = accuracy(net, *arrays(files["test"]))
        interface = types.SimpleNamespace(INPUTS={"image": (1, 3, SIZE, SIZE)}, OUTPUTS={"scores": (1, CLASSES)})
        export_onnx(interface, net, folder / "original.onnx")
        result.write_text(json.dumps({"accuracy": score}))
    return json.loads(result.read_text())["accuracy"]


def tune(job):
    """One fine-tune, in a process of its own: job has module, files, epochs, rate, batch,
    bfloat16, seed, threads, result."""
    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    net = load_module(job["module"]).load().to(device())
    test = arrays(job["files"]["test"])
    before = accuracy(net, *test)
    loader = array_loader(*arrays(job["files"]["train"]), job["batch"], job["seed"])
    finetune(net, loader, job["epochs"], job["rate"], bfloat16=job["bfloat16"])
    record = {"plan": job["plan"], "seed": job["seed"], "accuracy_before": before, "accuracy": accuracy(net, *test)}
    path = pathlib.Path(job["result"])
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(record))
    partial.replace(path)  # there whole, or not at all
    return record
