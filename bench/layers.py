"""Every distinct convolution of some networks: how near our kernels come to the machine's peak.

The peak is that of f32 FMAs on one thread, measured in the same run. A kernel is timed warm (called again and
again) and cold (its weights and input evicted before each call); inside a network it is in between.
Writes bench/results/layers.json and layers.md and prints the table.
"""

import argparse
import json
import pathlib
import subprocess

from machine import cpu_features, cpu_name

ROOT = pathlib.Path(__file__).resolve().parent.parent
EMULSION = ROOT / "build" / "bin" / "emulsion"
NETWORKS = ["resnet34-cifar10", "resnet18", "resnet50"]


def layers_of(network, folder, options):
    """One record a distinct conv: the bench verb's, with the network's name and the peak."""
    model = folder / f"{network}.onnx"
    if not model.exists():
        subprocess.run([EMULSION, "model", network, "-o", model], check=True, stdout=subprocess.DEVNULL)
    output = subprocess.run([EMULSION, "bench", model, "--layers", "--json", "--seconds", str(options.seconds)],
                            check=True, stdout=subprocess.PIPE, text=True).stdout
    report = json.loads(output)
    distinct = {}
    for layer in report["layers"]:
        if layer["op"] == "conv":
            distinct.setdefault((layer["shape"], layer["schedule"]), layer)
    return [dict(layer, network=network, peak_gflops=report["peak_gflops"]) for layer in distinct.values()]


def percent(layer, key):
    return 100 * layer["gflop"] / (layer[key] / 1e3) / layer["peak_gflops"]


def table(layers):
    lines = ["| network | layer | algorithm | warm, % of peak | cold, % of peak |", "|---|---|---|---|---|"]
    for layer in layers:
        lines.append(f"| {layer['network']} | {layer['shape']} | {layer['algorithm']} | "
                     f"{percent(layer, 'min_ms'):.0f} | {percent(layer, 'cold_min_ms'):.0f} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS, help=f"default: {' '.join(NETWORKS)}")
    parser.add_argument("--seconds", type=float, default=1.0, help="of measuring, each network as a whole")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "build" / "bench", help="where models lie")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    layers = [layer for network in options.networks for layer in layers_of(network, options.folder, options)]
    report = {"format": "emulsion-bench-layers-1", "cpu": cpu_name(), "features": cpu_features(), "layers": layers}
    text = (f"Each distinct convolution, one thread, float32, batch 1: share of the measured FMA peak, by minimum "
            f"time.\nMachine: {report['cpu']} ({' '.join(report['features'])}).\n\n{table(layers)}\n")
    out = ROOT / "bench" / "results"
    out.mkdir(exist_ok=True)
    (out / "layers.json").write_text(json.dumps(report, indent=1) + "\n")
    (out / "layers.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
