"""Checks exported files with ONNX's checker and runs them with ONNX Runtime.

usage: run_exported.py FOLDER

For each FOLDER/<n>.onnx, reads the inputs <n>.in<i>.npy in the graph's order and writes the outputs
<n>.out<i>.npy.
"""

import pathlib
import sys

import numpy
import onnx
import onnxruntime


def main():
    folder = pathlib.Path(sys.argv[1])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # Its fusion of Pad into pools makes pads that its own pools refuse.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for path in sorted(folder.glob("*.onnx")):
        onnx.checker.check_model(onnx.load(path), full_check=True)
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        feeds = {}
        for i, value in enumerate(session.get_inputs()):
            feeds[value.name] = numpy.load(folder / f"{path.stem}.in{i}.npy")
        for i, output in enumerate(session.run(None, feeds)):
            numpy.save(folder / f"{path.stem}.out{i}.npy", output)


main()
