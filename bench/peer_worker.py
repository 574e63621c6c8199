"""One engine with one model in one process: `peer_worker.py ENGINE MODEL.onnx THREADS`.

Prints "ready VERSION" once the model is loaded and warm. Then for each line on stdin, a number of
seconds, runs inferences for about that long and prints their times in ms as a JSON list.
"""

import json
import sys
import time

import numpy as np


def input_of(model):
    """Seeded noise for the model's single input, float32."""
    import onnx

    graph = onnx.load(model, load_external_data=False).graph
    initialisers = {i.name for i in graph.initializer}
    value = next(i for i in graph.input if i.name not in initialisers)
    shape = [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]
    return value.name, np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def onnxruntime_engine(model, threads):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name, x = input_of(model)
    return ort.__version__, lambda: session.run(None, {name: x})


def openvino_engine(precision):
    def engine(model, threads):
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
        _, x = input_of(model)
        request = compiled.create_infer_request()
        request.set_input_tensor(ov.Tensor(x))
        return ov.__version__, request.infer

    return engine


ENGINES = {
    "onnxruntime": onnxruntime_engine,
    "openvino-f32": openvino_engine("f32"),
    "openvino-bf16": openvino_engine("bf16"),
}


def main():
    engine, model, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    version, infer = ENGINES[engine](model, threads)
    for _ in range(3):
        infer()
    print("ready", version.split("-")[0], flush=True)
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
