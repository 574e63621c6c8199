"""Our models compute what torchvision's modules of the same name compute on the same weights.

Run as: torchvision_test.py PROGRAM MODEL. PROGRAM writes MODEL; its constants are copied in graph order into torchvision's
module (which lists its parameters in the same order), and the outputs of ONNX Runtime and PyTorch are compared.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime

try:
    import torch
    import torchvision
except ImportError as missing:
    print(f"[SKIP] {missing}")
    sys.exit(77)

program, name = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "model.onnx"
    subprocess.run([program, "model", name, "-o", path, "--seed", "5"], check=True)
    model = onnx.load(path)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])

# The constants of the module's state, by operator: weights, then biases or scale, shift, mean, variance.
constants = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
values = [
    constants[name]
    for node in model.graph.node
    if node.op_type in ("Conv", "BatchNormalization", "Gemm")
    for name in node.input[1:]
]

module = getattr(torchvision.models, {"mobilenetv2": "mobilenet_v2"}.get(name, name))().eval()
order = []  # the modules with a state, in the order in which they run
hooks = [
    m.register_forward_hook(lambda m, x, y: order.append(m))
    for m in module.modules()
    if isinstance(m, (torch.nn.Conv2d, torch.nn.BatchNorm2d, torch.nn.Linear))
]
image = np.random.default_rng(1).standard_normal((1, 3, 224, 224), dtype=np.float32)
with torch.no_grad():
    module(torch.from_numpy(image))
    [hook.remove() for hook in hooks]
    state = []
    for m in order:
        state += [t for t in (m.weight, m.bias) if t is not None]
        state += [m.running_mean, m.running_var] if isinstance(m, torch.nn.BatchNorm2d) else []
    assert len(state) == len(values), f"{len(values)} constants, torchvision has {len(state)}"
    for ours, theirs in zip(values, state):
        assert ours.shape == tuple(theirs.shape), f"{ours.shape}, torchvision has {tuple(theirs.shape)}"
        theirs.copy_(torch.from_numpy(ours.copy()))
    expected = module(torch.from_numpy(image)).numpy()

got = session.run(None, {session.get_inputs()[0].name: image})[0]
error = np.abs(got - expected).max() / np.abs(expected).max()
print(f"{name}: logits up to {np.abs(expected).max():.3g}, spread {expected.std():.3g}, relative error {error:.2g}")
assert error < 1e-4
assert 0.05 < expected.std() < 20, "activations die or blow up"
