"""One engine with one model in one process: `peer_worker.py ENGINE MODEL.onnx THREADS INPUT OUTPUT`.

The protocol is that of workers.py; INPUT and OUTPUT are files of raw float32.
"""

import importlib.metadata
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np

from workers import input_and_output_shape, with_external_data


def onnxruntime_engine(model, threads, x):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: x})[0]


def openvino_engine(precision, instructions=None):
    """instructions: the most that oneDNN, which computes OpenVINO's convolutions, may use; None: any."""
    def engine(model, threads, x):
        if instructions:
            os.environ["ONEDNN_MAX_CPU_ISA"] = instructions
        import openvino as ov

        core = ov.Core()
        compiled = core.compile_model(
            core.read_model(model),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": precision,
                "INFERENCE_NUM_THREADS": threads,
                "PERFORMANCE_HINT": "LATENCY",
                "NUM_STREAMS": 1,
            },
        )
        request = compiled.create_infer_request()
        request.set_input_tensor(ov.Tensor(x))
        output = request.get_output_tensor()

        def infer():
            request.infer()
            return output.data

        return infer

    return engine


def converted(model, suffix, convert):
    """The file beside the model with that suffix, made when it is missing or older than the model."""
    model = pathlib.Path(model)
    result = model.with_suffix(suffix)
    if not result.exists() or result.stat().st_mtime < model.stat().st_mtime:
        convert(model, result)
    return result


def convert_for_ncnn(model, param):
    """By pnnx, in a folder of its own: it writes many files, named after the model as it likes."""
    import pnnx

    with tempfile.TemporaryDirectory(dir=model.parent) as name:
        folder = pathlib.Path(name)
        for file in with_external_data(model):
            shutil.copy(file, folder / ("net.onnx" if file == model else file.name))
        subprocess.run([pnnx.EXEC_PATH, "net.onnx", "fp16=0"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        shutil.move(folder / "net.ncnn.bin", param.with_suffix(".bin"))
        shutil.move(folder / "net.ncnn.param", param)


def ncnn_engine(model, threads, x):
    import ncnn

    param = converted(model, ".ncnn.param", convert_for_ncnn)
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = net.opt.use_bf16_packed = False
    net.load_param(str(param))
    net.load_model(str(param.with_suffix(".bin")))
    (source,), (sink,) = net.input_names(), net.output_names()
    image = ncnn.Mat(x[0]).clone()  # a Mat of an array does not keep it alive

    def infer():
        extractor = net.create_extractor()
        extractor.input(source, image)
        failed, y = extractor.extract(sink)
        if failed:
            raise RuntimeError("ncnn cannot compute the output")
        return y

    return infer


def convert_for_mnn(model, result):
    # The converter itself: the package's script around it installs packages and reports home.
    import _tools

    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", str(model), "--MNNModel", str(result),
                       "--bizCode", "bench"])
    if not result.exists():
        raise RuntimeError("MNN cannot convert the model")


def mnn_engine(model, threads, x):
    import MNN

    net = MNN.Interpreter(str(converted(model, ".mnn", convert_for_mnn)))
    session = net.createSession({"backend": "CPU", "numThread": threads, "precision": "high"})
    source, sink = net.getSessionInput(session), net.getSessionOutput(session)
    given = MNN.Tensor(x.shape, MNN.Halide_Type_Float, x, MNN.Tensor_DimensionType_Caffe)
    wanted = np.zeros(sink.getShape(), np.float32)
    got = MNN.Tensor(wanted.shape, MNN.Halide_Type_Float, wanted, MNN.Tensor_DimensionType_Caffe)

    def infer():
        source.copyFrom(given)
        net.runSession(session)
        sink.copyToHostTensor(got)
        return got.getNumpyData()

    return infer


# By name: the package whose version is reported, and what makes a function that runs one inference.
ENGINES = {
    "onnxruntime": ("onnxruntime", onnxruntime_engine),
    "openvino-f32": ("openvino", openvino_engine("f32")),
    "openvino-f32-avx2": ("openvino", openvino_engine("f32", "AVX2")),
    "openvino-bf16": ("openvino", openvino_engine("bf16")),
    "openvino-bf16-avx512": ("openvino", openvino_engine("bf16", "AVX512_CORE_BF16")),
    "ncnn": ("ncnn", ncnn_engine),
    "mnn": ("MNN", mnn_engine),
}


def main():
    engine, model, threads, given, wanted = sys.argv[1:]
    package, make = ENGINES[engine]
    shape, _ = input_and_output_shape(model)
    infer = make(model, int(threads), np.fromfile(given, np.float32).reshape(shape))
    for _ in range(3):
        y = infer()
    np.array(y, dtype=np.float32).tofile(wanted)
    print("ready", importlib.metadata.version(package), flush=True)
    for line in sys.stdin:
        end = time.perf_counter() + float(line)
        times = []
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            infer()
            times.append((time.perf_counter() - start) * 1e3)
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
