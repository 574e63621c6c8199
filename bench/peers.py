"""Whole networks: ours against other engines, processes interleaved, on one machine.

Each engine runs in a process of its own, pinned to the same cores; in each round every engine runs for a
fraction of a second, in an order that rotates. A ratio is one of minima; it is only printed without a mark
when the medians agree in direction. Writes bench/results/peers.json and peers.md and prints the table.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

from machine import cpu_features, cpu_name

ROOT = pathlib.Path(__file__).resolve().parent.parent
EMULSION = ROOT / "build" / "bin" / "emulsion"
NETWORKS = ["resnet34-cifar10", "resnet18", "resnet50"]
PEERS = ["onnxruntime", "openvino-f32"]


class Worker:
    """A process that runs one network on request."""

    def __init__(self, name, command, cores):
        self.name, self.times = name, []
        self.process = subprocess.Popen(
            ["taskset", "-c", cores, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        first = self.process.stdout.readline().split()
        if first[:1] != ["ready"]:
            raise RuntimeError(f"{name} did not start: {' '.join(map(str, command))}")
        self.version = first[1] if len(first) > 1 else ""

    def run(self, seconds):
        print(seconds, file=self.process.stdin, flush=True)
        self.times += json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def compiled(network, folder, options):
    """The command of a worker for our build of the network, and the .onnx it came from."""
    model, name = folder / f"{network}.onnx", network.replace("-", "_")
    if not model.exists():
        subprocess.run([EMULSION, "model", network, "-o", model], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([EMULSION, "compile", model, "-o", folder / name, "--name", name,
                    "--budget", str(options.budget)], check=True, stdout=subprocess.DEVNULL)
    program = folder / name / "worker"
    subprocess.run(["c++", "-std=c++17", "-O2", f"-DNAME={name}", f'-DHEADER="{name}.h"', f"-I{folder / name}",
                    ROOT / "bench" / "our_worker.cpp", folder / name / f"{name}.a", "-lpthread", "-ldl",
                    "-o", program], check=True)
    return model, [str(program)]


def element_counts(model):
    import onnx

    graph = onnx.load(model, load_external_data=False).graph
    initialisers = {i.name for i in graph.initializer}

    def count(value):
        total = 1
        for dimension in value.type.tensor_type.shape.dim:
            total *= dimension.dim_value or 1
        return str(total)

    return [count(next(i for i in graph.input if i.name not in initialisers)), count(graph.output[0])]


def measure(network, threads, folder, options):
    model, ours = compiled(network, folder, options)
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[:threads]))
    workers = [Worker("emulsion", ours + [str(threads), *element_counts(model)], cores)]
    for peer in options.peers:
        command = [sys.executable, str(ROOT / "bench" / "peer_worker.py"), peer, str(model), str(threads)]
        try:
            workers.append(Worker(peer, command, cores))
        except RuntimeError as problem:
            print(f"left out: {problem}", file=sys.stderr)
    for round_number in range(options.rounds):
        for i in range(len(workers)):
            workers[(i + round_number) % len(workers)].run(options.seconds)
        print(f"\r{network}, {threads} thread(s): round {round_number + 1}/{options.rounds}",
              end="", file=sys.stderr)
    print(file=sys.stderr)
    for worker in workers:
        worker.stop()
    return {
        "network": network, "threads": threads,
        "engines": {w.name: {"version": w.version, "min_ms": min(w.times), "calls": len(w.times),
                             "median_ms": statistics.median(w.times)} for w in workers},
    }


def ratio_text(result):
    """Best peer's minimum over ours, with ~ when the medians do not agree in direction."""
    engines = dict(result["engines"])
    ours = engines.pop("emulsion")
    if not engines:
        return "-"
    by_min = min(e["min_ms"] for e in engines.values()) / ours["min_ms"]
    by_median = min(e["median_ms"] for e in engines.values()) / ours["median_ms"]
    return f"{'' if (by_min - 1) * (by_median - 1) >= 0 else '~'}{by_min:.2f}"


def table(results, peers):
    lines = ["| network | threads | " + " | ".join(["emulsion"] + peers) + " | best peer / ours |",
             "|---|---|" + "---|" * (len(peers) + 2)]
    for result in results:
        engines = result["engines"]
        ours = engines["emulsion"]["min_ms"]
        cells = [f"{engines[e]['min_ms'] / ours:.2f}" if e in engines else "-" for e in ["emulsion"] + peers]
        lines.append(f"| {result['network']} | {result['threads']} | " + " | ".join(cells) +
                     f" | {ratio_text(result)} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS, help=f"default: {' '.join(NETWORKS)}")
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="default: 1")
    parser.add_argument("--peers", nargs="*", default=PEERS, help=f"default: {' '.join(PEERS)}; also openvino-bf16")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.3, help="each engine, each round")
    parser.add_argument("--budget", type=float, default=0, help="seconds that compile may measure schedules")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "build" / "bench", help="models, libraries")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    results = [measure(network, threads, options.folder, options)
               for network in options.networks for threads in options.threads]
    report = {"format": "emulsion-bench-peers-1", "cpu": cpu_name(), "features": cpu_features(),
              "cores": os.cpu_count(), "budget": options.budget, "results": results}
    text = (f"Time relative to ours (1.00; higher is slower), ratio of minima of {options.rounds} interleaved rounds, "
            f"float32, batch 1.\nMachine: {report['cpu']} ({' '.join(report['features'])}). "
            f"`~`: the medians do not agree in direction: a tie.\n\n{table(results, options.peers)}\n")
    out = ROOT / "bench" / "results"
    out.mkdir(exist_ok=True)
    (out / "peers.json").write_text(json.dumps(report, indent=1) + "\n")
    (out / "peers.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
