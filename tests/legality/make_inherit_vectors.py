"""Makes data/inherit_vectors.{json,npy}: a small residual network trained with PyTorch, and what its
convs lose when they are rewritten (FISHER.md, "From inherited weights"), by autograd in float64.

    python3 tests/legality/make_inherit_vectors.py

The .npy holds all tensors in one float32 vector; the .json says where each is.
"""
import json
import pathlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

IMAGES, SIZE, CLASSES = 64, 8, 4
CONVS = ["stem", "a1", "a2", "b1", "b2", "short"]
SLOTS = {"a1": 1, "a2": 2, "b1": 3, "b2": 4}
SPLIT, UNROLL, ROWS = "split co 2; group[0] 2; group[1] 4", "unroll co 4; group[1] 2", "split y 2; group[1] 2"
SPATIAL = "interchange co y; bottleneck y 2; interchange co x; bottleneck x 2"
SPECS = ["group 2", "group 4", "depthwise", "bottleneck co 2", "bottleneck co 4", "group 2; bottleneck co 2",
         "bottleneck ci 2", SPLIT, UNROLL, ROWS, SPATIAL]
MIXED = [{"a1": "group 2"}, {"a1": "depthwise", "b2": "bottleneck co 4"},
         {slot: "group 4" for slot in SLOTS},
         {"a2": SPLIT, "b1": SPATIAL, "b2": ROWS}]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        shape = dict(stem=(3, 8, 3, 1), a1=(8, 8, 3, 1), a2=(8, 8, 3, 1), b1=(8, 16, 3, 2), b2=(16, 16, 3, 1),
                     short=(8, 16, 1, 2))
        for name, (ci, co, k, stride) in shape.items():
            setattr(self, name, nn.Conv2d(ci, co, k, stride, k // 2, bias=False))
            setattr(self, name + "_norm", nn.BatchNorm2d(co))
        self.linear = nn.Linear(16, CLASSES)

    def forward(self, x, conv=None, norm=None):
        conv = conv or (lambda name, x: getattr(self, name)(x))
        norm = norm or (lambda name, x: getattr(self, name + "_norm")(x))
        part = lambda name, x: norm(name, conv(name, x))
        x = F.relu(part("stem", x))
        x = F.relu(x + part("a2", F.relu(part("a1", x))))
        x = F.relu(part("short", x) + part("b2", F.relu(part("b1", x))))
        return self.linear(x.mean((2, 3)))


def images(count, seed):
    """Bars of four orientations in colours and noise."""
    r = np.random.default_rng(seed)
    labels = r.integers(0, CLASSES, count)
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    result = np.empty((count, 3, SIZE, SIZE), np.float32)
    for i, label in enumerate(labels):
        along = [y, x, x + y, x - y][label]
        wave = np.sin(r.uniform(1.1, 1.7) * along + r.uniform(0, 6.28))
        result[i] = r.uniform(0.3, 1, 3)[:, None, None] * wave + r.normal(0, 1.6, (3, SIZE, SIZE))
    return torch.from_numpy(result), torch.from_numpy(labels)


def train():
    torch.manual_seed(3)
    net, (x, y) = Net(), images(2000, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    for epoch in range(8):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * (1 - epoch / 8)
        for batch in torch.randperm(len(x)).split(50):
            optimizer.zero_grad()
            F.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
    # Kept in float32, so that what the .npy holds is what is scored.
    return net.eval().double()


def grouped(x, w, groups, stride, groups_before=1):
    """The conv whose weight keeps the diagonal blocks."""
    co, ci = w.shape[0], w.shape[1]
    blocks = [w[i * co // groups:(i + 1) * co // groups, i * ci // groups:(i + 1) * ci // groups]
              for i in range(groups)]
    return F.conv2d(x, torch.cat(blocks), None, stride, w.shape[2] // 2, 1, groups), blocks


def narrowed(w, b):
    """The best approximation of rank co / b."""
    u, s, v = torch.linalg.svd(w.flatten(1), full_matrices=False)
    rank = w.shape[0] // b
    return ((u[:, :rank] * s[:rank]) @ v[:rank]).view_as(w)


def rewritten(net, name, spec, x):
    conv = getattr(net, name)
    w, stride, pad = conv.weight, conv.stride, conv.padding
    if spec in ("depthwise", "group 2", "group 4"):
        groups = np.gcd(*w.shape[:2]) if spec == "depthwise" else int(spec.split()[1])
        return grouped(x, w, int(groups), stride)[0]
    if spec == "bottleneck ci 2":
        return F.conv2d(x, narrowed(w.transpose(0, 1), 2).transpose(0, 1), None, stride, pad)
    if spec == SPLIT:
        half = len(w) // 2
        return torch.cat([grouped(x, w[:half], 2, stride)[0], grouped(x, w[half:], 4, stride)[0]], 1)
    if spec == UNROLL:
        return torch.cat([F.conv2d(x, w[:4], None, stride, pad), grouped(x[:, 4:], w[4:, 4:], 2, stride)[0]], 1)
    if spec == ROWS:
        top, bottom = x.chunk(2, 2)
        return torch.cat([F.conv2d(top, w, None, stride, pad), grouped(bottom, w, 2, stride)[0]], 2)
    if spec == SPATIAL:
        coarse = F.conv2d(x, w, None, tuple(2 * s for s in stride), pad)
        return F.interpolate(coarse, scale_factor=2, mode="nearest")
    if spec.startswith("bottleneck"):
        return F.conv2d(x, narrowed(w, int(spec.split()[2])), None, stride, pad)
    assert spec == "group 2; bottleneck co 2"
    blocks = [narrowed(block, 2) for block in grouped(x, w, 2, stride)[1]]
    return F.conv2d(x, torch.cat(blocks), None, stride, pad, 1, 2)


def inherit(net, x, y):
    """The identity energy, the scores by slot and spec, and the mean loss."""
    inputs, values = {}, {}

    def conv(name, x):
        inputs[name] = x.detach()
        return getattr(net, name)(x)

    def norm(name, x):
        values[name] = getattr(net, name + "_norm")(x)
        values[name].retain_grad()
        return values[name]

    loss = F.cross_entropy(net(x, conv, norm), y, reduction="sum")
    loss.backward()
    with torch.no_grad():
        term = lambda g, d: float(0.5 * (g * d).pow(2).sum() / len(x))
        energy = sum(term(values[s].grad, values[s] - values[s].mean((0, 2, 3), keepdim=True)) for s in SLOTS)
        scores = {}
        for slot in SLOTS:
            module = getattr(net, slot + "_norm")
            for spec in SPECS:
                out = rewritten(net, slot, spec, inputs[slot])
                changed = F.batch_norm(out, None, None, module.weight, module.bias, True, 0, module.eps)
                scores[f"{SLOTS[slot]} {spec}"] = term(values[slot].grad, changed - values[slot]) / energy
    return energy, scores, float(loss) / len(x)


@torch.no_grad()
def zero_shot(net, x, y, specs):
    """The mean loss with convs rewritten and the batch norms behind them set from these images."""
    changed = set()

    def conv(name, x):
        if name in specs:
            changed.add("")
            return rewritten(net, name, specs[name], x)
        return getattr(net, name)(x)

    def norm(name, x):
        module = getattr(net, name + "_norm")
        # Of the shortcut's input too something has changed, wherever a rewritten conv came before.
        if changed:
            return F.batch_norm(x, None, None, module.weight, module.bias, True, 0, module.eps)
        return module(x)

    return float(F.cross_entropy(net(x, conv, norm), y))


def main():
    net = train()
    x, y = images(IMAGES, 2)
    x = x.double()
    energy, scores, loss = inherit(net, x, y)
    tensors = {"images": x}
    for name, value in net.state_dict().items():
        if "num_batches" not in name:
            tensors[name] = value
    vector, where = [], {}
    for name, value in tensors.items():
        where[name] = {"at": sum(map(len, vector)), "shape": list(value.shape)}
        vector.append(value.numpy().astype(np.float32).ravel())
    folder = pathlib.Path(__file__).parent / "data"
    np.save(folder / "inherit_vectors.npy", np.concatenate(vector))
    mixed = [{"rewrites": {str(SLOTS[s]): spec for s, spec in m.items()}, "loss": zero_shot(net, x, y, m)}
             for m in MIXED]
    (folder / "inherit_vectors.json").write_text(json.dumps(
        {"tensors": where, "labels": y.tolist(), "energy": energy, "mean_loss": loss, "scores": scores,
         "zero_shot": mixed}, indent=1) + "\n")
    print(f"loss {loss:.4f}, energy {energy:.4f}, scores {min(scores.values()):.3f} to {max(scores.values()):.3f}")


main()
