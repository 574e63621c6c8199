"""Engines as worker processes that take turns: what peers.py and accuracy.py measure with.

A worker holds one network in one process. It prints "ready VERSION" once it is warm and has written the network's
output for a given input; then, for each line on stdin, a number of seconds, it runs for about that long and prints
the times in ms as a JSON list.
"""

import functools
import hashlib
import json
import pathlib
import statistics
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
EMULSION = ROOT / "build" / "bin" / "emulsion"
# Engines that peer_worker.py runs in float32.
F32_PEERS = ["onnxruntime", "openvino-f32", "ncnn", "mnn"]


class Worker:
    """A process that runs one network on request, pinned to cores."""

    def __init__(self, name, command, cores, output):
        self.name, self.output, self.rounds, self.times = name, output, [], []
        log = pathlib.Path(f"{output}.log")
        command = ["taskset", "-c", ",".join(map(str, cores)), *map(str, command)]
        with open(log, "w", encoding="utf-8") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                            text=True)
        for line in self.process.stdout:  # engines may greet first
            if line.startswith("ready"):
                self.version = line[len("ready"):].strip()
                return
        self.process.wait()
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        said = last[0] if last else " ".join(command)
        raise RuntimeError(f"{name} did not start: {said.replace(f'{ROOT}/', '')}")  # reports hold it

    def run(self, seconds):
        print(seconds, file=self.process.stdin, flush=True)
        times = json.loads(self.process.stdout.readline())
        self.rounds.append([min(times), statistics.median(times)])
        self.times += times

    def stop(self):
        self.process.stdin.close()
        self.process.wait()

    def record(self):
        return {"version": self.version, "min_ms": min(self.times), "median_ms": statistics.median(self.times),
                "calls": len(self.times), "rounds_min_median_ms": self.rounds}


def take_turns(workers, rounds, seconds, label):
    """Every worker once a round, in an order that rotates."""
    for number in range(rounds):
        for i in range(len(workers)):
            workers[(i + number) % len(workers)].run(seconds)
        if sys.stderr.isatty():
            print(f"\r{label}: round {number + 1}/{rounds}", end="", file=sys.stderr)
    print(f"\r{label}: {rounds} rounds", file=sys.stderr)
    for worker in workers:
        worker.stop()


def emulsion(*arguments):
    """Runs the program; its output."""
    done = subprocess.run([EMULSION, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"emulsion {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


@functools.cache
def program_hash():
    """Tells builds of the program apart, and so what they generate."""
    return hashlib.sha256(EMULSION.read_bytes()).hexdigest()[:16]


def with_external_data(model):
    """A model's file and those that it keeps weights in."""
    import onnx

    weights = onnx.load(model, load_external_data=False).graph.initializer
    names = {entry.value for w in weights for entry in w.external_data if entry.key == "location"}
    return [model, *(model.parent / name for name in sorted(names))]


def input_and_output_shape(model):
    """Those of a network with one input and one output; a symbolic extent counts as 1."""
    import onnx

    graph = onnx.load(model, load_external_data=False).graph
    constants = {i.name for i in graph.initializer}
    inputs = [i for i in graph.input if i.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise RuntimeError(f"{model}: {len(inputs)} inputs and {len(graph.output)} outputs; one of each is measured")
    return [[d.dim_value or 1 for d in v.type.tensor_type.shape.dim] for v in (inputs[0], graph.output[0])]


def write_input(model, path):
    """Seeded noise for the network's input, raw float32."""
    shape, _ = input_and_output_shape(model)
    np.random.default_rng(0).standard_normal(shape, dtype=np.float32).tofile(path)
    return path


def peer_command(peer, model):
    """What runs a model in another engine as a worker, but for threads, input and output."""
    return [sys.executable, ROOT / "bench" / "peer_worker.py", peer, model]


def our_command(model, name, folder, arguments=()):
    """Compiles a network with us; the command of its worker, less what follows MODEL in peer_worker.py."""
    emulsion("compile", model, "-o", folder / name, "--name", name, *arguments)
    program, manifest = folder / name / "worker", json.loads((folder / name / "manifest.json").read_text())
    weights = [f'-DWEIGHTS_FILE="{folder / name / name}.weights"'] if manifest["weights"] == "beside" else []
    subprocess.run(["c++", "-std=c++17", "-O2", f"-DNAME={name}", f'-DHEADER="{name}.h"', *weights,
                    f"-I{folder / name}", ROOT / "bench" / "our_worker.cpp", folder / name / f"{name}.a", "-lpthread",
                    "-ldl", "-o", program], check=True)
    _, output = input_and_output_shape(model)
    return [program, int(np.prod(output))]


def difference(output, reference):
    """The largest difference of two raw outputs over the largest element of the reference."""
    ours, theirs = (np.fromfile(path, np.float32).astype(np.float64) for path in (reference, output))
    if ours.shape != theirs.shape:
        raise RuntimeError(f"{theirs.size} outputs instead of {ours.size}")
    return float(np.abs(ours - theirs).max() / np.abs(ours).max())


def ratio(theirs, ours):
    """Their time over ours, by minima; None where the medians disagree in direction: a tie."""
    by_min = theirs["min_ms"] / ours["min_ms"]
    by_median = theirs["median_ms"] / ours["median_ms"]
    return by_min if (by_min - 1) * (by_median - 1) > 0 else None
