"""Exports a torchvision network with random weights as its users do, with an input and the expected outputs.

usage: export_torchvision.py MODEL OPSET SIZE BATCH FOLDER

FOLDER gets model.onnx (traced with one image of SIZE by SIZE; BATCH is "baked" or "symbolic"), input.npy (two images),
one.npy (ONNX Runtime's output for the first image) and two.npy (torch's output for both).
"""

import pathlib
import sys
import warnings

import numpy
import onnxruntime
import torch
import torchvision

warnings.filterwarnings("ignore")


def main():
    name, opset, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    symbolic, folder = sys.argv[4] == "symbolic", pathlib.Path(sys.argv[5])
    torch.manual_seed(1)
    torch.set_num_threads(1)
    model = getattr(torchvision.models, name)(weights=None)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
    model.eval()
    images = torch.randn(2, 3, size, size)
    path = folder / "model.onnx"
    torch.onnx.export(
        model,
        images[:1],
        str(path),
        opset_version=opset,
        input_names=["image"],
        output_names=["scores"],
        dynamic_axes={"image": {0: "batch"}} if symbolic else None,
    )
    with torch.no_grad():
        two = model(images).numpy()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    one = session.run(None, {"image": images[:1].numpy()})[0]
    numpy.save(folder / "input.npy", images.numpy())
    numpy.save(folder / "one.npy", one)
    numpy.save(folder / "two.npy", two)


main()
