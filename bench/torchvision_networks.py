"""torchvision's classification CNNs as PyTorch's own exporter writes them: import, compile, verify.

For each network: exports it with random weights, compiles it, and verifies it against ONNX Runtime and the plain
reference. Writes bench/results/torchvision.json and torchvision.md (networks that are not run keep their rows) and
prints the table. Other scripts use FAMILIES, names() and export().
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
EMULSION = ROOT / "build" / "bin" / "emulsion"
RESULTS = ROOT / "bench" / "results"
OPSET = 17

# All of torchvision.models that are convolutional classifiers, by family, small ones first.
FAMILIES = {
    "alexnet": ["alexnet"],
    "squeezenet": ["squeezenet1_1", "squeezenet1_0"],
    "shufflenet": ["shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"],
    "mobilenet": ["mobilenet_v3_small", "mobilenet_v3_large", "mobilenet_v2"],
    "mnasnet": ["mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"],
    "resnet": ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"],
    "resnext": ["resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"],
    "wide_resnet": ["wide_resnet50_2", "wide_resnet101_2"],
    "densenet": ["densenet121", "densenet169", "densenet201", "densenet161"],
    "googlenet": ["googlenet"],
    "inception": ["inception_v3"],
    "vgg": ["vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"],
    "regnet_x": ["regnet_x_400mf", "regnet_x_800mf", "regnet_x_1_6gf", "regnet_x_3_2gf", "regnet_x_8gf",
                 "regnet_x_16gf", "regnet_x_32gf"],
    "regnet_y": ["regnet_y_400mf", "regnet_y_800mf", "regnet_y_1_6gf", "regnet_y_3_2gf", "regnet_y_8gf",
                 "regnet_y_16gf", "regnet_y_32gf", "regnet_y_128gf"],
    "efficientnet": [f"efficientnet_b{i}" for i in range(8)],
    "efficientnet_v2": ["efficientnet_v2_s", "efficientnet_v2_m", "efficientnet_v2_l"],
    "convnext": ["convnext_tiny", "convnext_small", "convnext_base", "convnext_large"],
}


def names():
    return [name for family in FAMILIES.values() for name in family]


def image_size(name):
    return 299 if name == "inception_v3" else 224


def construct(name, **arguments):
    """torchvision's module; arguments: of its constructor."""
    import torchvision

    if name in ("googlenet", "inception_v3"):
        arguments = {"init_weights": False, "aux_logits": False} | arguments
    return getattr(torchvision.models, name)(weights=None, **arguments)


def randomise(module, images):
    """Gives norms and layer scales random values, and batch norms the statistics of the images, so that every layer
    matters and no activation blows up or dies."""
    import torch

    norms = [m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    scaled = norms + [m for m in module.modules() if isinstance(m, torch.nn.LayerNorm)]
    for m in scaled:
        torch.nn.init.uniform_(m.weight, 0.5, 1.5)
        torch.nn.init.uniform_(m.bias, -0.2, 0.2)
    for name, parameter in module.named_parameters():
        if name.endswith("layer_scale"):  # 1e-6 before training, which leaves out whole blocks
            torch.nn.init.uniform_(parameter, 0.2, 1.0)
    module.eval()
    if norms:
        for m in norms:
            m.train()
            m.momentum = 1.0
        with torch.no_grad():
            module(images)
    return module.eval()


def write_onnx(module, path, images, opset=OPSET, symbolic_batch=False):
    """The module as PyTorch's exporter writes it, traced with the first image."""
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, images[:1], str(path), opset_version=opset, input_names=["image"],
                          output_names=["scores"],
                          dynamic_axes={"image": {0: "batch"}} if symbolic_batch else None)


def export(name, path, size=None, opset=OPSET, seed=1):
    """Writes the network with seeded random weights; one image of size by size."""
    import torch

    torch.manual_seed(seed)
    size = size or image_size(name)
    images = torch.randn(2, 3, size, size)
    write_onnx(randomise(construct(name), images), path, images, opset)


def run(command, options):
    start = time.monotonic()
    try:
        result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=options.timeout)
        problem = "" if result.returncode == 0 else (result.stderr.strip().splitlines() or ["no message"])[-1]
        output = result.stdout
    except subprocess.TimeoutExpired:
        problem, output = f"took more than {options.timeout:.0f} s", ""
    return time.monotonic() - start, output, problem


def check(name, options):
    """One record: what happened, how long it took, how far the outputs are off."""
    model = options.folder / f"torchvision_{name}.onnx"
    record = {"network": name, "opset": options.opset}
    if not model.exists():
        code = f"import torchvision_networks as t; t.export({name!r}, {str(model)!r}, opset={options.opset})"
        record["export_s"], _, problem = run([sys.executable, "-c", f"import sys; sys.path.insert(0, "
                                              f"{str(ROOT / 'bench')!r}); {code}"], options)
        if problem:
            model.unlink(missing_ok=True)
            return record | {"problem": f"export: {problem}"}
    cache = ["--cache", options.cache] if options.cache else []
    out = options.folder / f"torchvision_{name}"
    record["compile_s"], _, problem = run([EMULSION, "compile", model, "-o", out, "--name", "network", *cache],
                                          options)
    if problem:
        return record | {"problem": f"compile: {problem}"}
    manifest = json.loads((out / "manifest.json").read_text())
    record["kernels"] = len({use["kernel"] for use in manifest["kernels"]})
    record["verify_s"], output, problem = run([EMULSION, "verify", model, "--json", *cache], options)
    try:
        record["differences"] = {c["oracle"]: c["difference"] for c in json.loads(output)["comparisons"]}
    except (ValueError, KeyError):
        pass
    if problem:
        record["problem"] = f"verify: {problem}"
    if not options.keep:
        for file in [model, *out.glob("*")]:
            file.unlink()
    return record


def table(records):
    lines = ["| network | result | off ONNX Runtime by | kernels | compile, s |", "|---|---|---|---|---|"]
    for r in records:
        off = next((d for o, d in r.get("differences", {}).items() if o.startswith("ONNX Runtime")), None)
        lines.append(f"| {r['network']} | {r.get('problem', 'pass')} | {'-' if off is None else f'{off:.1e}'} | "
                     f"{r.get('kernels', '-')} | {r['compile_s']:.0f} |" if "compile_s" in r else
                     f"| {r['network']} | {r['problem']} | - | - | - |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=names(), help="names or families; default: all")
    parser.add_argument("--opset", type=int, default=OPSET)
    parser.add_argument("--timeout", type=float, default=1200, help="seconds for each step of a network")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "build" / "bench", help="models, libraries")
    parser.add_argument("--cache", help="folder of compiled kernels; default: emulsion's own")
    parser.add_argument("--keep", action="store_true", help="keep models and libraries (22 GB for all)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    RESULTS.mkdir(exist_ok=True)
    report_path = RESULTS / "torchvision.json"
    records = {}
    if report_path.exists():
        records = {r["network"]: r for r in json.loads(report_path.read_text())["results"]}
    for name in [n for asked in options.networks for n in FAMILIES.get(asked, [asked])]:
        if name not in names():
            sys.exit(f"no network or family is called '{name}'; there are: {' '.join(FAMILIES)}; {' '.join(names())}")
        records[name] = check(name, options)
        print(table([records[name]]).splitlines()[-1], flush=True)
        ordered = [records[n] for n in names() if n in records]
        report_path.write_text(json.dumps({"format": "emulsion-bench-torchvision-1", "results": ordered}, indent=1) + "\n")
        passed = sum("problem" not in r for r in ordered)
        (RESULTS / "torchvision.md").write_text(
            f"torchvision's classification CNNs (random weights, 224x224; inception_v3 299x299) as torch.onnx.export "
            f"writes them: {passed} of {len(names())} import, compile and agree with ONNX Runtime and the plain "
            f"reference. Compile: with what the cache of kernels has from the networks before.\n\n{table(ordered)}\n")
    sys.exit(any("problem" in records.get(n, {}) for n in options.networks))


if __name__ == "__main__":
    main()
