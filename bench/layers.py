"""Every distinct convolution of our models, alone: ours, ONNX Runtime and OpenVINO against the machine's peak.

The peak is that of f32 FMAs on one thread. Clocks of shared machines change from minute to minute, so ours is compared
with the peak that its own process measures right before and after the calls, in the middle of the rounds; peers,
which run in between, with the middle of all these peaks. Each convolution, with bias and ReLU, is a network
of its own; what counts is the time of its kernel, without conversions of layout, as each engine's own profile says.
Ours is timed by Google Benchmark (layer_benchmark.cpp) warm (called again and again) and cold (weights and input
evicted before each call): inside a network it is in between. Processors run wide FMAs slower for milliseconds after
they ran beside loads; so a third column compares ours with what register-only FMAs do right after each call, beside
the peak itself. Engines that are not installed are left out. Prints the table; of all models it also writes
layers.json and layers.md (--direct: layers_direct), of some of them only where --stem names the files.
"""

import argparse
import csv
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np
import onnx
from onnx import helper, numpy_helper

from machine import cpu_features, cpu_name
from workers import ROOT, emulsion

FIELDS = ("ci", "h", "w", "co", "ky", "kx", "sy", "sx", "dy", "dx", "groups", "pads")
CHUNK = 16  # layers in one file for ours: kernels of a file are compiled side by side
BENCHMARK = ROOT / "build" / "bin" / "layer_benchmark"


def conv_of_node(node, shapes):
    """The fields of an ONNX Conv node."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    _, ci, h, w = shapes[node.input[0]]
    co, _, ky, kx = shapes[node.input[1]]
    strides, dilations = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    return dict(zip(FIELDS, (ci, h, w, co, ky, kx, *strides, *dilations, attributes.get("group", 1),
                             tuple(attributes.get("pads", [0, 0, 0, 0])))))


def convs_of_model(name, folder):
    path = folder / f"{name}.onnx"
    if not path.exists():
        emulsion("model", name, "-o", path)
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    shapes = {i.name: tuple(i.dims) for i in graph.initializer}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        shapes[value.name] = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    return [conv_of_node(node, shapes) for node in graph.node if node.op_type == "Conv"]


def convs_of_csv(path):
    with open(path, encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            n = {key: int(value) for key, value in row.items() if key != "name"}
            yield dict(zip(FIELDS, (n["ci"], n["h"], n["w"], n["co"], n["k"], n["k"], n["stride"], n["stride"], 1, 1,
                                    n["groups"], (n["pad"],) * 4)))


def distinct_convs(options):
    """Records of distinct convolutions with the models that have them."""
    found = {}
    sources = [(name, convs_of_model(name, options.folder)) for name in options.model or all_models()]
    if not options.model:
        sources.append(("conv_layers.csv", convs_of_csv(ROOT / "bench" / "conv_layers.csv")))
    for name, convs in sources:
        for conv in convs:
            record = found.setdefault(tuple(conv.values()), dict(conv, networks=[]))
            if name not in record["networks"]:
                record["networks"].append(name)
    return list(found.values())


def all_models():
    return [line.split()[0] for line in emulsion("model", "--list").splitlines()]


def output_extent(conv, axis):
    size, kernel, stride, dilation = (conv[key] for key in (("h", "ky", "sy", "dy"), ("w", "kx", "sx", "dx"))[axis])
    return (size + conv["pads"][axis] + conv["pads"][axis + 2] - (kernel - 1) * dilation - 1) // stride + 1


def gflop(conv):
    taps = conv["co"] * conv["ci"] // conv["groups"] * conv["ky"] * conv["kx"]
    return 2e-9 * taps * output_extent(conv, 0) * output_extent(conv, 1)


def shape_text(conv):
    text = (f"{conv['ci']}x{conv['h']}x{conv['w']} -> {conv['co']}x{output_extent(conv, 0)}x{output_extent(conv, 1)} "
            f"k{conv['ky']}x{conv['kx']} s{conv['sy']}x{conv['sx']} g{conv['groups']}")
    return text + (f" d{conv['dy']}x{conv['dx']}" if (conv["dy"], conv["dx"]) != (1, 1) else "")


def write_model(convs, path):
    """One ONNX file with these convolutions side by side, each with an input and an output of its own."""
    rng = np.random.default_rng(0)
    nodes, inputs, outputs, constants = [], [], [], []
    for i, conv in enumerate(convs):
        shape = (conv["co"], conv["ci"] // conv["groups"], conv["ky"], conv["kx"])
        weight = rng.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(np.prod(shape[1:])))
        constants += [numpy_helper.from_array(weight, f"w{i}"),
                      numpy_helper.from_array(rng.standard_normal(conv["co"], dtype=np.float32), f"b{i}")]
        nodes += [helper.make_node("Conv", [f"x{i}", f"w{i}", f"b{i}"], [f"c{i}"], name=f"conv{i}",
                                   kernel_shape=shape[2:], strides=[conv["sy"], conv["sx"]], pads=conv["pads"],
                                   dilations=[conv["dy"], conv["dx"]], group=conv["groups"]),
                  helper.make_node("Relu", [f"c{i}"], [f"y{i}"], name=f"relu{i}")]
        out = [1, conv["co"], output_extent(conv, 0), output_extent(conv, 1)]
        inputs.append(helper.make_tensor_value_info(f"x{i}", 1, [1, conv["ci"], conv["h"], conv["w"]]))
        outputs.append(helper.make_tensor_value_info(f"y{i}", 1, out))
    graph = helper.make_graph(nodes, "layers", inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def direct_plan(convs, path):
    """A plan that computes those with taps by the direct algorithm; its empty network fits any."""
    layers = [{"conv": i, "kernels": [{"algorithm": "direct"}]} for i, conv in enumerate(convs)
              if conv["kx"] * conv["ky"] > 1 and conv["groups"] < conv["ci"]]
    path.write_text(json.dumps({"format": "emulsion-plan-1", "network": "", "layers": layers}))
    return path


def run_benchmark(model, *arguments):
    """What layer_benchmark says: by layer, benchmark and statistic ("min", "median"), a row of Google Benchmark's."""
    done = subprocess.run([BENCHMARK, model, "--benchmark_format=json", *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{BENCHMARK.name}: {done.stderr.strip()}")
    found = {}
    for row in json.loads(done.stdout)["benchmarks"]:
        if row.get("error_occurred"):
            raise RuntimeError(f"{BENCHMARK.name}: {row['name']}: {row['error_message']}")
        layer, benchmark = row["run_name"].split("/")
        found.setdefault(layer, {}).setdefault(benchmark, {})[row["aggregate_name"]] = row
    return found


def our_times(rows):
    """The record of a round from a layer's rows."""
    warm, cold = rows["warm"], rows["cold"]
    return {"min_ms": warm["min"]["real_time"], "median_ms": warm["median"]["real_time"],
            "cold_min_ms": cold["min"]["real_time"], "cold_median_ms": cold["median"]["real_time"],
            "percent_of_peak": warm["min"]["percent_of_peak"], "cold_percent_of_peak": cold["min"]["percent_of_peak"],
            "percent_of_fmas": rows["then_fmas"]["median"]["percent_of_fmas"]}


def add_round(record, times):
    """Least of the rounds' minima, middle of everything else."""
    rounds = record.setdefault("rounds", [])
    rounds.append(times)
    for key in times:
        record[key] = (min if key.endswith("min_ms") else statistics.median)(r[key] for r in rounds)


def time_ours(convs, options):
    """Sets each record's algorithm, schedule and times; the peaks that were measured beside them."""
    peaks = []
    for first in range(0, len(convs), CHUNK):
        some = convs[first:first + CHUNK]
        model = write_model(some, options.folder / "layers.onnx")
        plan = ["--plan", direct_plan(some, options.folder / "direct.plan.json")] if options.direct else []
        layers = run_benchmark(model, "--seconds", options.seconds, *plan)
        for i, conv in enumerate(some):
            rows = layers[f"conv{i}"]
            warm = rows["warm"]["min"]
            algorithm, _, schedule = warm["label"].partition(": ")
            conv.setdefault("emulsion", {"algorithm": algorithm, "schedule": schedule})
            add_round(conv["emulsion"], our_times(rows))
            peaks.append(max(warm["peak_before_gflops"], warm["peak_after_gflops"]))
        say(f"ours: {min(first + CHUNK, len(convs))} of {len(convs)}")
    return peaks


def repeated(run, seconds):
    end = time.perf_counter() + seconds
    for _ in range(3):
        run()
    while time.perf_counter() < end:
        run()


def onnxruntime_ms(model, x, seconds, folder):
    """The least and the median time of the conv's kernel, from ONNX Runtime's profile."""
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.enable_profiling = True
    settings.profile_file_prefix = str(folder / "ort_profile")
    session = ort.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
    repeated(lambda: session.run(None, {"x0": x}), seconds)
    profile = pathlib.Path(session.end_profiling())
    events = json.loads(profile.read_text())
    profile.unlink()
    return [e["dur"] / 1e3 for e in events if e.get("cat") == "Node" and "Conv" in e["args"].get("op_name", "")
            and e["name"].endswith("_kernel_time")]


def openvino_ms(model, x, seconds, _):
    import openvino as ov

    core = ov.Core()
    compiled = core.compile_model(core.read_model(model), "CPU", {
        "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "PERF_COUNT": True})
    request = compiled.create_infer_request()
    request.set_input_tensor(ov.Tensor(x))
    times = []

    def run():
        request.infer()
        times.append(sum(node.real_time.total_seconds() * 1e3 for node in request.get_profiling_info()
                         if "Convolution" in node.node_type))

    repeated(run, seconds)
    return times


PEERS = {"onnxruntime": onnxruntime_ms, "openvino": openvino_ms}


def time_peers(convs, options):
    versions = {}
    for peer, measure in PEERS.items():
        try:
            versions[peer] = __import__(peer).__version__
        except ImportError:
            say(f"{peer} is not installed")
            continue
        for i, conv in enumerate(convs):
            model = write_model([conv], options.folder / "layer.onnx")
            x = np.random.default_rng(1).standard_normal((1, conv["ci"], conv["h"], conv["w"]), dtype=np.float32)
            # The first calls are slower.
            times = measure(model, x, options.peer_seconds, options.folder)[3:]
            if times and min(times) > 0:
                add_round(conv.setdefault(peer, {}), {"min_ms": min(times), "median_ms": float(np.median(times))})
            if i % 10 == 9 or i + 1 == len(convs):
                say(f"{peer}: {i + 1} of {len(convs)}")
    return versions


def say(text):
    print(text, file=sys.stderr, flush=True)


def percent(conv, milliseconds, peak):
    """peak: GFLOP/s."""
    return 100 * gflop(conv) / (milliseconds / 1e3) / peak


def table(convs, peak, peers):
    columns = ["layer", "algorithm", "ours warm", "of FMAs right after", "ours cold", *peers, "best peer / ours", "in"]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for conv in convs:
        ours = conv["emulsion"]
        cells = [f"{percent(conv, conv[p]['min_ms'], peak):.0f}" if p in conv else "-" for p in peers]
        best = min((conv[p]["min_ms"] for p in peers if p in conv), default=None)
        networks = conv["networks"][0] + (f" +{len(conv['networks']) - 1}" if len(conv["networks"]) > 1 else "")
        cells = [shape_text(conv), ours["algorithm"], f"{ours['percent_of_peak']:.0f}",
                 f"{ours['percent_of_fmas']:.0f}",
                 f"{ours['cold_percent_of_peak']:.0f}", *cells, f"{best / ours['min_ms']:.2f}" if best else "-",
                 networks]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", metavar="NAME",
                        help="only these models' layers; default: all models and the shapes of conv_layers.csv")
    parser.add_argument("--direct", action="store_true", help="direct sums instead of what is expected to be fastest")
    parser.add_argument("--rounds", type=int, default=3, help="of all engines in turns")
    parser.add_argument("--seconds", type=float, default=0.3, help="of measuring ours, each layer")
    parser.add_argument("--peer-seconds", type=float, default=0.2, help="each layer, each engine")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "build" / "bench", help="where models lie")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "bench" / "results", help="where results go")
    parser.add_argument("--stem", help="of the results' file names; default: layers (--direct: layers_direct), with "
                        "--model none is written")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds: one at least")
    if not options.stem and not options.model:
        options.stem = "layers_direct" if options.direct else "layers"
    return options


def main():
    options = parse_options()
    if not BENCHMARK.exists():
        sys.exit(f"{BENCHMARK.relative_to(ROOT)} is missing: it is built where CMake finds Google Benchmark (Debian's "
                 "libbenchmark-dev); install that, then ./dev build")
    options.folder.mkdir(parents=True, exist_ok=True)
    convs = distinct_convs(options)
    cores, peaks = os.sched_getaffinity(0), []
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        peaks += time_ours(convs, options)
        os.sched_setaffinity(0, {min(cores)})
        versions = time_peers(convs, options)
        os.sched_setaffinity(0, cores)
    peak = statistics.median(peaks)
    report = {"format": "emulsion-bench-layers-4", "cpu": cpu_name(), "features": cpu_features(), "peak_gflops": peak,
              "versions": versions, "layers": [dict(c, gflop=gflop(c), shape=shape_text(c)) for c in convs]}
    text = (f"Distinct convolutions with bias and ReLU, each alone: percent of the measured f32 FMA peak "
            f"(about {peak:.0f} GFLOP/s) that its kernel reaches by minimum time, middle of the rounds, one thread, "
            f"batch 1, padding taps counted as work. Peers are warm. Of FMAs right after: in percent of what "
            f"register-only FMAs do right after each warm call, when the processor still runs them slower. "
            f"Machine: {report['cpu']} ({' '.join(report['features'])}); "
            + ", ".join(f"{n} {v.split('-')[0]}" for n, v in versions.items()) +
            f".\n\n{table(convs, peak, list(versions))}\n")
    if options.stem:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / f"{options.stem}.json").write_text(json.dumps(report, indent=1) + "\n")
        (options.out / f"{options.stem}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
