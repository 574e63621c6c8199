"""Trains the PyTorch module that `emulsion transform --pytorch` wrote, from its inherited weights, and exports it.

    emulsion transform m.onnx --plan found/plans/2x.json --data images.npy -o small.onnx --pytorch small.py
    python examples/finetune.py small.py --images images.npy --labels labels.npy -o small_tuned.onnx
    emulsion compile small_tuned.onnx --plan small.plan.json -o out

Images are float32 [N, C, H, W] as the network expects them, labels integers [N]. For other data name a function that
returns an iterable of (images, labels) batches, such as a torch DataLoader: --loader my_data.py:make_loader.
From a script of your own: module = load_module("small.py"); net = module.load(); finetune(net, loader, epochs=2);
export_onnx(module, net, "small_tuned.onnx").
"""

import argparse
import importlib.util
import math
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F


def load_module(path):
    """A Python file as a module."""
    path = pathlib.Path(path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def array_loader(images, labels, batch, seed):
    """Shuffled batches of two arrays, in another order each epoch; a last batch that is not full is left out."""
    generator = torch.Generator().manual_seed(seed)
    data = torch.utils.data.TensorDataset(torch.as_tensor(images), torch.as_tensor(labels, dtype=torch.int64))
    return torch.utils.data.DataLoader(data, min(batch, len(data)), shuffle=True, drop_last=True, generator=generator)


def finetune(net, loader, epochs, learning_rate=0.02, warm_up=30, weight_decay=5e-4, each_epoch=None, bfloat16=False):
    """SGD with Nesterov momentum; the rate rises over warm_up batches, then falls as a cosine to 0.

    bfloat16: convolutions and matrix products compute in 16 bits, the weights stay float32.
    """
    device = next(net.parameters()).device
    optimiser = torch.optim.SGD(net.parameters(), lr=learning_rate, momentum=0.9, weight_decay=weight_decay,
                                nesterov=True)
    steps, step = epochs * len(loader), 0
    warm_up = min(warm_up, steps // 10)
    for epoch in range(epochs):
        net.train()
        total = 0.0
        for images, labels in loader:
            rate = (step + 1) / warm_up if step < warm_up else 0.5 * (1 + math.cos(math.pi * step / steps))
            for group in optimiser.param_groups:
                group["lr"] = learning_rate * rate
            optimiser.zero_grad()
            with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                loss = F.cross_entropy(net(images.to(device)), labels.to(device))
            loss.backward()
            optimiser.step()
            total += loss.item()
            step += 1
        if each_epoch:
            each_epoch(epoch, total / len(loader))
    return net.eval()


def accuracy(net, images, labels, batch=250):
    """The share of images whose largest output is that of their label."""
    net.eval()
    device = next(net.parameters()).device
    right = 0
    with torch.no_grad():
        for i in range(0, len(images), batch):
            answers = net(torch.as_tensor(images[i:i + batch]).to(device)).argmax(1).cpu()
            right += (answers == torch.as_tensor(labels[i:i + batch])).sum().item()
    return right / len(images)


def export_onnx(module, net, path):
    """With the batch norms as they are: the structure is that of the plan."""
    inputs = tuple(torch.zeros(shape) for shape in module.INPUTS.values())
    torch.onnx.export(net.eval().cpu(), inputs, str(path), input_names=list(module.INPUTS),
                      output_names=list(module.OUTPUTS), opset_version=13,
                      training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)


def make_loader(options):
    if options.loader:
        file, function = options.loader.rsplit(":", 1)
        return getattr(load_module(file), function)()
    if not options.images or not options.labels:
        sys.exit("give --images and --labels, or --loader FILE.py:FUNCTION")
    return array_loader(np.load(options.images), np.load(options.labels), options.batch, options.seed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module", help="T.py; its weights are read from T.npz beside it")
    parser.add_argument("-o", "--output", required=True, help="where the trained network goes (.onnx)")
    parser.add_argument("--images", help="to train on (.npy)")
    parser.add_argument("--labels", help="their classes (.npy)")
    parser.add_argument("--loader", help="FILE.py:FUNCTION instead of arrays")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rate", type=float, default=0.02, help="the largest learning rate")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bfloat16", action="store_true", help="mixed precision: faster where there are units for it")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    module = load_module(options.module)
    net = module.load().to("cuda" if torch.cuda.is_available() else "cpu")
    finetune(net, make_loader(options), options.epochs, options.rate,
             each_epoch=lambda epoch, loss: print(f"epoch {epoch + 1}: loss {loss:.4f}", flush=True),
             bfloat16=options.bfloat16)
    export_onnx(module, net, options.output)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
