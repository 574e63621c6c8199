"""Runs every T.py of a folder on T.in0.npy, T.in1.npy, ...; writes T.out0.npy, ... and, for the inputs twice over,
T.twice0.npy, ... where the module takes such a batch."""

import importlib.util
import pathlib
import sys

import numpy as np

try:
    import torch
except ImportError as missing:
    print(f"[SKIP] {missing}")
    sys.exit(77)

torch.set_num_threads(1)
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.py")):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    inputs = [torch.from_numpy(np.load(f)) for f in sorted(path.parent.glob(f"{path.stem}.in*.npy"))]
    net = module.load()
    with torch.no_grad():
        for name, given in [("out", inputs), ("twice", [torch.cat([x, x]) for x in inputs])]:
            if name == "twice" and not (path.parent / f"{path.stem}.any_batch").exists():
                continue
            outputs = net(*given)
            for i, y in enumerate(outputs if isinstance(outputs, tuple) else (outputs,)):
                np.save(path.parent / f"{path.stem}.{name}{i}.npy", y.contiguous().numpy())
