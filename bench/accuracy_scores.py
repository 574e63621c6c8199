"""Predictors of accuracy, computed in PyTorch from the modules that transform writes, independently of our own engine.

A slot is named by the batch norm behind it, which the original and every rewritten network have. Fisher Potential, at
initialisation, is meant to tell an architecture's capacity; inherit is the Fisher-weighted error that inherited weights
make in each rewritten slot alone, summed.
"""

import copy
import math

import torch
import torch.fx
import torch.nn.functional as F
from torch import nn


def slot_norms(net, convs):
    """For the convs with these positions: {position: batch norm} and {batch norm: node that the conv reads}."""
    names = [name for name, module in net.named_modules() if isinstance(module, nn.Conv2d)]
    positions = {names[i]: i for i in convs}
    norms, sources = {}, {}
    for node in torch.fx.symbolic_trace(net).graph.nodes:
        if node.op == "call_module" and node.target in positions:
            (norm,) = node.users
            norms[positions[node.target]] = norm.target
            sources[norm.target] = node.args[0].name
    return norms, sources


def fisher(net, norms, images, labels, seeds=4):
    """Mean log score at initialisation over seeds."""
    net, total = copy.deepcopy(net), 0.0
    taps = []

    def tap(module, given):
        given[0].retain_grad()
        taps.append(given[0])

    for name in norms:
        net.get_submodule(name).register_forward_pre_hook(tap)
    net.train()
    for seed in range(seeds):
        torch.manual_seed(seed)
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                reach = 1 / math.sqrt(module.in_features)
                nn.init.uniform_(module.weight, -reach, reach)
                nn.init.zeros_(module.bias)
        taps.clear()
        F.cross_entropy(net(images), labels, reduction="sum").backward()
        score = sum(((a.detach() * a.grad).sum((2, 3)) ** 2).sum().item() for a in taps) / (2 * len(images))
        total += math.log(max(score, 1e-300))
    return total / seeds


class Original:
    """What inherit needs of the trained original: for each slot its input, its normalised output, and the gradient."""

    def __init__(self, net, sources, images, labels):
        self.net, self.sources, self.count = net.eval(), sources, len(images)
        values = {}

        class Recorder(torch.fx.Interpreter):
            def run_node(self, node):
                result = super().run_node(node)
                name = node.target if node.op == "call_module" else None
                if node.name in sources.values():
                    values[node.name] = result.detach()
                if name in sources:
                    result.retain_grad()
                    values[name] = result
                return result

        loss = F.cross_entropy(Recorder(torch.fx.symbolic_trace(net)).run(images), labels, reduction="sum")
        loss.backward()
        self.inputs = {norm: values[source] for norm, source in sources.items()}
        self.outputs = {norm: values[norm].detach() for norm in sources}
        self.gradients = {norm: values[norm].grad for norm in sources}
        self.energy = sum(self.error(norm, self.outputs[norm].mean(0, keepdim=True)) for norm in sources)

    def error(self, norm, other):
        """1/(2N) sum (g (n' - n))^2 of a slot."""
        return ((self.gradients[norm] * (other - self.outputs[norm])) ** 2).sum().item() / (2 * self.count)


@torch.no_grad()
def inherit(net, rewritten, original):
    """The error of each rewritten slot alone, summed, over the original's identity energy."""
    graph = torch.fx.symbolic_trace(net).graph
    modules, total = dict(net.named_modules()), 0.0
    for norm in rewritten:
        values = {original.sources[norm]: original.inputs[norm]}

        def value(node):
            if node.name not in values:
                arguments = torch.fx.node.map_arg(node.args, value)
                keywords = torch.fx.node.map_arg(node.kwargs, value)
                if node.op == "call_module":
                    values[node.name] = modules[node.target](*arguments, **keywords)
                elif node.op == "call_function":
                    values[node.name] = node.target(*arguments, **keywords)
                elif node.op == "call_method":
                    values[node.name] = getattr(arguments[0], node.target)(*arguments[1:], **keywords)
                else:
                    raise RuntimeError(f"{norm}: {node.op} {node.name} inside a rewritten slot")
            return values[node.name]

        node = next(n for n in graph.nodes if n.op == "call_module" and n.target == norm)
        a = value(node.args[0])
        # Batch statistics of the slot's output, the original's scale and shift.
        module = original.net.get_submodule(norm)
        total += original.error(norm, F.batch_norm(a, None, None, module.weight, module.bias, True, 0.0, module.eps))
    return total / original.energy


@torch.no_grad()
def zero_shot_loss(net, calibration, images, labels):
    """Mean cross-entropy of the inherited weights, batch norms recalibrated."""
    net = copy.deepcopy(net)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean over batches
    net.train()
    for batch in calibration.split(128):
        net(batch)
    net.eval()
    return F.cross_entropy(net(images), labels).item()
