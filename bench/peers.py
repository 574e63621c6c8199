"""Whole networks: ours against other engines, processes interleaved, on one machine.

Each engine runs in a process of its own, pinned to the same cores; in each round every engine runs for a fraction of
a second, in an order that rotates. A ratio is one of minima, and a tie where the medians disagree in direction. Every
engine's output is compared with ours on the same input. Two-thread figures are taken only where two processes of
multiply-adds show two real cores. Writes peers.json, peers.md and peers.svg (--stem: others) and prints the table.

With --plans, the network rewritten by each plan runs beside the engines, which run the original.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import shutil
import sys

from machine import available_memory, cpu_features, cpu_name, two_core_speedup
from peer_worker import ENGINES
from svg_chart import bars
from workers import (F32_PEERS, ROOT, Worker, difference, emulsion, our_command, peer_command, program_hash, ratio,
                     take_turns, with_external_data, write_input)

NETWORKS = ["resnet34-cifar10", "resnext29-cifar10", "densenet161-cifar10", "resnet18", "resnet50", "mobilenetv2"]
DEFAULT_PEERS = [*F32_PEERS, "openvino-bf16"]
BF16_PEERS = ["openvino-bf16", "openvino-bf16-avx512"]  # the second without matrix units
AVX2_PEERS = ["openvino-f32-avx2"]  # held to it on machines with more; for ours see --target
# Largest difference from our output that counts as the same function; 16 bits are another one, and reported.
TOLERANCE = dict.fromkeys(BF16_PEERS, 0.2)
FORMAT = "emulsion-bench-peers-2"
PLAN = "plan "  # begins the names of rewritten networks among the engines
REAL_CORES = 1.7  # times one core's multiply-adds
START_COPIES = 4  # of a model's bytes that an engine may need memory for while it starts


def our_networks():
    return [line.split()[0] for line in emulsion("model", "--list").splitlines()]


def torchvision_networks():
    """Those that torchvision_networks.py beside this file exports and `emulsion model` has not."""
    try:
        import torchvision_networks as exporter
        import torchvision  # noqa: F401
    except ImportError as missing:
        print(f"torchvision's networks are left out: {missing}", file=sys.stderr)
        return []
    ours = our_networks()
    return [name for name in exporter.names() if name not in ours]


def model_file(network, folder):
    model = folder / f"{network}.onnx"
    if not model.exists():
        if network in our_networks():
            emulsion("model", network, "-o", model)
        elif network in torchvision_networks():
            import torchvision_networks as exporter

            exporter.export(network, model)
        else:
            raise RuntimeError("no such network in `emulsion model --list` or torchvision")
    return model


def remove_files(network, folder):
    """What measuring a network left: all of torchvision's together would be tens of GB."""
    name, model = c_name(network), folder / f"{network}.onnx"
    shutil.rmtree(folder / name, ignore_errors=True)
    external = with_external_data(model) if model.exists() else []
    for file in {*external, *folder.glob(f"{network}.*"), *folder.glob(f"{name}.*")}:
        if file.is_file():
            file.unlink()


def c_name(network):
    return network.replace("-", "_").replace(".", "_")


def lacking(peer, model_bytes):
    """Why this machine cannot run a peer on a model of that size beside what runs already; None: it can."""
    features = set(cpu_features())
    if peer == "openvino-bf16" and not features & {"avx512_bf16", "amx_bf16"}:
        return "this machine has no bf16 instructions"
    if peer == "openvino-bf16-avx512" and not features >= {"avx512_bf16", "amx_bf16"}:
        return "this machine has not both vector and matrix instructions for bf16"
    if available_memory() < START_COPIES * model_bytes:
        return "too little memory is left beside the other engines"
    return None


def start_workers(network, threads, cores, options):
    """Ours and every peer that works, and what was wrong with the others."""
    model, name = model_file(network, options.folder), c_name(network)
    given = write_input(model, options.folder / f"{name}.input")
    ours = our_command(model, name, options.folder,
                       ["--budget", options.budget, "--threads", threads, "--target", options.target])
    commands = {"emulsion": ours}
    for peer in options.peers:
        commands[peer] = peer_command(peer, model)
    for i, plan in enumerate(options.plans):
        commands[PLAN + plan.stem] = our_command(model, f"{name}_plan{i}", options.folder,
                                                 ["--plan", plan, "--threads", threads, "--target", options.target])
    model_bytes = sum(file.stat().st_size for file in with_external_data(model))
    workers, problems = [], {}
    for engine, command in commands.items():
        if engine in options.peers and (problem := lacking(engine, model_bytes)):
            problems[engine] = problem
            continue
        output = options.folder / f"{name}.{engine.replace(' ', '_')}.output"
        try:
            workers.append(Worker(engine, [*command, threads, given, output], cores, output))
        except RuntimeError as problem:
            if engine == "emulsion" or engine.startswith(PLAN):
                raise
            problems[engine] = str(problem)
    for engine, problem in problems.items():
        print(f"{network}: {engine} left out: {problem}", file=sys.stderr)
    return workers, problems


def check_outputs(workers, problems):
    """Stops the workers that compute something else, but plans, which mean to; the differences of the others."""
    reference, kept, found = workers[0].output, [], {}
    for worker in workers:
        error = difference(worker.output, reference)
        if worker.name.startswith(PLAN) or error <= TOLERANCE.get(worker.name, 1e-3):
            kept.append(worker)
            found[worker.name] = error
        else:
            problems[worker.name] = f"its output differs from ours by {error:.2g} of the largest element"
            print(f"{worker.name} left out: {problems[worker.name]}", file=sys.stderr)
            worker.stop()
    return kept, found


def measure(network, threads, cores, options):
    workers, problems = start_workers(network, threads, cores, options)
    workers, differences = check_outputs(workers, problems)
    take_turns(workers, options.rounds, options.seconds, f"{network}, {threads} thread{'s' if threads > 1 else ''}")
    engines = {w.name: dict(w.record(), difference=differences[w.name]) for w in workers}
    return {"network": network, "threads": threads, "program": program_hash(), "engines": engines,
            "left_out": problems}


def best_peer(result):
    """The fastest f32 peer by minimum, and its ratio to ours (None: a tie)."""
    engines = {n: e for n, e in result["engines"].items() if n in [*F32_PEERS, *AVX2_PEERS]}
    if not engines:
        return None, None
    best = min(engines, key=lambda n: engines[n]["min_ms"])
    return best, ratio(engines[best], result["engines"]["emulsion"])


def table(results, engines):
    lines = ["| network | threads | " + " | ".join(engines) + " | best f32 peer / ours |",
             "|---|---|" + "---|" * (len(engines) + 1)]
    for result in results:
        cells = []
        for engine in engines:
            e = result["engines"].get(engine)
            cells.append(f"{e['min_ms']:.2f} ({e['median_ms']:.2f})" if e else "-")
        best, times = best_peer(result)
        cells.append("-" if best is None else f"tie ({best})" if times is None else f"**{times:.2f}** ({best})")
        lines.append(f"| {result['network']} | {result['threads']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plan_table(results):
    """Rewritten networks against the best peer's original and ours."""
    lines = ["| network | threads | plan | ms | best f32 peer / it | ours / it |", "|---|---|---|---|---|---|"]
    for result in results:
        best, _ = best_peer(result)
        for name, e in result["engines"].items():
            if not name.startswith(PLAN):
                continue
            times = [ratio(result["engines"][n], e) if n else None for n in (best, "emulsion")]
            peer, ours = ("tie" if t is None else f"{t:.2f}" for t in times)
            lines.append(f"| {result['network']} | {result['threads']} | {name.removeprefix(PLAN)} | {e['min_ms']:.2f} "
                         f"({e['median_ms']:.2f}) | **{peer}** ({best}) | {ours} |")
    return "\n".join(lines)


def chart(results, engines):
    """Minimum time over ours, a group of bars a network and thread count; of the default networks if there are any."""
    groups = []
    for result in [r for r in results if r["network"] in NETWORKS] or results:
        ours = result["engines"]["emulsion"]["min_ms"]
        values = {n: e["min_ms"] / ours for n, e in result["engines"].items() if n in engines}
        groups.append((f"{result['network']}, {result['threads']} thr.", values))
    return bars("Time of one inference relative to Emulsion (shorter is faster), batch 1", groups, engines, longest=6)


def write_report(results, scaling, options):
    engines = ["emulsion", *options.peers]
    versions = {n: e["version"] for r in results for n, e in r["engines"].items() if not n.startswith(PLAN)}
    short = ", ".join(f"{n} {v.split(',')[0].removeprefix('emulsion ')}" for n, v in versions.items())
    report = {"format": FORMAT, "cpu": cpu_name(), "features": cpu_features(),
              "cores": os.cpu_count(), "two_core_speedup": scaling, "versions": versions, "budget": options.budget,
              "target": options.target, "rounds": options.rounds, "seconds": options.seconds, "results": results}
    notes = [f"Milliseconds of one inference, batch 1: minimum (median) of {options.rounds} interleaved rounds. The last "
             "column is a ratio of minima; tie: the medians disagree in direction.",
             f"Machine: {report['cpu']} ({' '.join(report['features'])}). Versions: {short}."]
    if options.target != "host":
        notes.append(f"Ours is compiled for {options.target}.")
    if scaling is not None:
        notes.append(f"Two processes of multiply-adds on the two cores do {scaling:.2f} times the work of one"
                     + ("." if scaling >= REAL_CORES else ": not two real cores, so no figures for two threads."))
    text = " ".join(notes) + f"\n\n{table(results, engines)}\n"
    if others := [f"{r['network']} ({r['threads']} thr.)" for r in results if outdated(r, options.peers)]:
        text += f"\nMeasured before the program or an engine became what it is: {', '.join(others)}.\n"
    if options.plans:
        text += f"\nRewritten by plans, another function than the peers':\n\n{plan_table(results)}\n"
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{options.stem}.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.out / f"{options.stem}.md").write_text(text)
    (options.out / f"{options.stem}.svg").write_text(chart(results, engines))


def installed_version(peer):
    """None: not installed."""
    try:
        return importlib.metadata.version(ENGINES[peer][0])
    except importlib.metadata.PackageNotFoundError:
        return None


def outdated(result, peers):
    """Why measuring it now would measure something else; None: it would not."""
    if result.get("program") != program_hash():
        return "by another build of the program"
    for peer in peers:
        record, now = result["engines"].get(peer), installed_version(peer)
        if record and now and record["version"] != now:
            return f"with {peer} {record['version']}, not {now}"
        if not record and peer not in result["left_out"]:
            return f"without {peer}"
    return None


def earlier_report(options):
    """What an earlier run on this machine, with as many rounds and seconds, wrote."""
    file = options.out / f"{options.stem}.json"
    if not options.resume or not file.exists():
        return {"results": [], "two_core_speedup": None}
    report = {"target": "host"} | json.loads(file.read_text())
    now = {"format": FORMAT, "cpu": cpu_name(), "features": cpu_features(), "budget": options.budget,
           "target": options.target, "rounds": options.rounds, "seconds": options.seconds}
    for key, value in now.items():
        if report.get(key) != value:
            sys.exit(f"--resume: {file} has {key} {report.get(key)}, not {value}; leave --resume out to begin anew")
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", metavar="NAME", help=f"default: {' '.join(NETWORKS)}")
    parser.add_argument("--all", action="store_true", help="all of `emulsion model` and of torchvision")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], choices=[1, 2], help="default: 1 2")
    parser.add_argument("--peers", nargs="*", choices=[*F32_PEERS, *BF16_PEERS, *AVX2_PEERS],
                        default=DEFAULT_PEERS,
                        help=f"default: {' '.join(DEFAULT_PEERS)}; openvino-bf16-avx512 leaves matrix units out")
    parser.add_argument("--target", default="host",
                        help="what ours is compiled for; x86-64-linux-avx-avx2-f16c-fma-sse41 goes with "
                        "--peers openvino-f32-avx2")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.3, help="each engine, each round")
    parser.add_argument("--budget", type=float, default=0, help="seconds that compile may measure schedules")
    parser.add_argument("--plans", nargs="+", type=pathlib.Path, default=[], metavar="PLAN.json",
                        help="rewrites of the one network of --networks, from explore")
    parser.add_argument("--keep", action="store_true", help="with --all: keep models and libraries")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "build" / "bench", help="models, libraries")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "bench" / "results", help="where results go")
    parser.add_argument("--resume", nargs="?", const="same", choices=["same", "anyway"],
                        help="go on where a run stopped: measure only what its report lacks, or has of another build "
                        "of the program or version of an engine; anyway: keep those too")
    parser.add_argument("--stem", default="peers", help="of the results' file names; default: peers")
    options = parser.parse_args()
    if options.plans and len(options.networks or []) != 1:
        parser.error("--plans belong to one network: name it with --networks")
    if options.plans and options.resume:
        parser.error("--resume cannot tell whether plans are the same: leave it or --plans out")
    if set(AVX2_PEERS) & set(options.peers) and options.target == "host" and "avx512f" in cpu_features():
        parser.error(f"{' '.join(AVX2_PEERS)}: name a target for ours that is held to AVX2 too, with --target")
    options.folder.mkdir(parents=True, exist_ok=True)
    networks = options.networks or (our_networks() + torchvision_networks() if options.all else NETWORKS)
    cores = sorted(os.sched_getaffinity(0))
    earlier = earlier_report(options)
    results, scaling = earlier["results"], earlier["two_core_speedup"]
    if max(options.threads) > 1:
        scaling = two_core_speedup(cores, ROOT / "bench" / "fma_rate.c", options.folder) if len(cores) > 1 else 1.0
        print(f"two cores do {scaling:.2f} times the multiply-adds of one", file=sys.stderr)
    failed = []
    for network in networks:
        for threads in options.threads:
            found = next((r for r in results if (r["network"], r["threads"]) == (network, threads)), None)
            reason = found and outdated(found, options.peers)
            if (found and (not reason or options.resume == "anyway")) or (threads > 1 and scaling < REAL_CORES):
                continue
            if reason:
                print(f"{network}, {threads} thr.: measured {reason}; measured anew", file=sys.stderr)
            try:
                result = measure(network, threads, cores[:threads], options)
                if found:
                    results[results.index(found)] = result
                else:
                    results.append(result)
            except (RuntimeError, OSError, ValueError) as problem:
                failed.append(f"{network}, {threads} thread(s): {problem}")
                print(failed[-1], file=sys.stderr)
                continue
            write_report(results, scaling, options)
        if options.all and not options.keep:
            remove_files(network, options.folder)
    if results:
        write_report(results, scaling, options)
        print((options.out / f"{options.stem}.md").read_text())
    sys.exit("\n".join(failed) if failed else 0)


if __name__ == "__main__":
    main()
