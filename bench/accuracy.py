"""Do rewritten networks keep their accuracy, and what predicts it? From training to table and plot.

On a procedural task of ten classes the original (resnet34-cifar10's layout at reduced width) is trained to convergence.
Plans at several measured speed-ups are then chosen in five ways: explore with Fisher Potential (the paper's random
search), explore with inherit and the exact search, explore by multiplies alone, at random, and depthwise everywhere as a
negative control. Each is fine-tuned from inherited weights for a tenth of the epochs, by several seeds. Each trained
network's result is a file: after an interruption the same command goes on. Writes NAME.json, NAME.md and NAME.svg
and prints the table.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import sys

import numpy as np

from accuracy_plans import CHOICES, choose_plans, peer_worker, plan_worker, slots, write_plan
from workers import F32_PEERS, ROOT, emulsion, ratio, take_turns


def say(text):
    print(text, file=sys.stderr, flush=True)


def transform_plans(model, plans, files, folder):
    """T.onnx, T.py and T.npz of every plan, once; {name: T.py}."""
    modules = {}
    for name, plan in plans.items():
        module = folder / "modules" / f"{name}.py"
        module.parent.mkdir(exist_ok=True)
        if not module.with_suffix(".npz").exists():  # what transform writes last
            emulsion("transform", model, "--plan", plan, "--data", files["calibration"][0], "-o",
                     module.with_suffix(".onnx"), "--pytorch", module)
        modules[name] = module
    return modules


def fine_tune(modules, files, folder, options):
    """{name: its records, one a seed}, trained by a pool of processes; what has a result is not trained again."""
    import torch

    jobs, results = [], folder / "results"
    results.mkdir(exist_ok=True)
    seeds = {name: options.variant_seeds if name.startswith("variant") else options.seeds for name in modules}
    for seed in range(max(seeds.values())):
        for name, module in modules.items():
            if seed >= seeds[name]:
                continue
            result = results / f"{name}_{seed}.json"
            if not result.exists():
                jobs.append({"plan": name, "module": module, "files": files, "epochs": options.tune_epochs,
                             "rate": options.tune_rate, "batch": options.batch, "bfloat16": options.bfloat16,
                             "seed": seed, "result": result,
                             "threads": max(1, options.threads // options.jobs)})
    processes = 1 if torch.cuda.is_available() else options.jobs
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(processes, mp_context=context) as pool:
        from accuracy_training import tune

        for i, future in enumerate(concurrent.futures.as_completed(pool.submit(tune, job) for job in jobs)):
            record = future.result()
            say(f"fine-tuned {i + 1} of {len(jobs)}: {record['plan']}, seed {record['seed']}: "
                f"{100 * record['accuracy']:.2f} %")
    return {name: [json.loads((results / f"{name}_{seed}.json").read_text()) for seed in range(count)]
            for name, count in seeds.items()}


def time_plans(model, plans, folder, options):
    """{name: times} of all compiled plans, and of other engines with the original, in turns, once."""
    result = folder / "times.json"
    known = json.loads(result.read_text()) if result.exists() else {}
    if set(known) == {*plans, *options.peers}:
        return known
    workers = []
    for name, plan in plans.items():
        say(f"compiling {name}")
        workers.append(plan_worker(name, model, plan, folder))
    workers += [peer_worker(peer, model, folder) for peer in options.peers]
    take_turns(workers, options.rounds, 0.1, "timing plans")
    times = {w.name: w.record() for w in workers}
    result.write_text(json.dumps(times))
    return times


def predict(model, plans, modules, files, folder, options):
    """{name: predictors} of every plan, once each."""
    import torch

    from accuracy_scores import Original, fisher, inherit, slot_norms, zero_shot_loss
    from accuracy_training import arrays, load_module

    images, labels = (torch.from_numpy(a) for a in arrays(files["calibration"]))
    recalibration = torch.from_numpy(arrays(files["train"])[0][:512])
    few = slice(0, options.score_images)
    norms = sources = original = None
    scores = {}
    for name, module in modules.items():
        result = folder / "results" / f"{name}_scores.json"
        if not result.exists():
            if original is None:
                base = load_module(modules["original"]).load()
                norms, sources = slot_norms(base, [conv for conv, _ in slots(model)])
                original = Original(base, sources, images[few], labels[few])
            net = load_module(module).load()
            layers = json.loads(plans[name].read_text())["layers"]
            rewritten = [norms[layer["conv"]] for layer in layers if layer.get("rewrite")]
            say(f"scoring {name}")
            result.write_text(json.dumps({
                "inherit": inherit(net, rewritten, original),
                "fisher": fisher(net, norms.values(), images[:options.fisher_images], labels[:options.fisher_images]),
                "zero_shot_loss": zero_shot_loss(net, recalibration, images[few], labels[few])}))
        scores[name] = json.loads(result.read_text())
    return scores


def summary(model, plans, modules, tuned, times, scores, options):
    """One record a plan."""
    from accuracy_report import seed_interval

    records = []
    best = min(options.peers, key=lambda p: times[p]["min_ms"], default=None)
    for name, plan in plans.items():
        layers = json.loads(plan.read_text())["layers"]
        accuracies = [r["accuracy"] for r in tuned[name]]
        inspected = json.loads(emulsion("inspect", modules[name].with_suffix(".onnx"), "--json"))
        records.append({
            "name": name, "choice": name.split("_")[0],
            "rewrites": {str(layer["conv"]): layer["rewrite"] for layer in layers if layer.get("rewrite")},
            "multiplies": inspected["multiplies"], "weights": inspected["weights"],
            "ms": times[name]["min_ms"], "median_ms": times[name]["median_ms"],
            "speedup": 1.0 if name == "original" else ratio(times["original"], times[name]),
            "best_engine": best, "over_best_engine": ratio(times[best], times[name]) if best else None,
            "accuracies": accuracies, "accuracy": float(np.mean(accuracies)), "interval": seed_interval(accuracies),
            "accuracy_before": tuned[name][0]["accuracy_before"], **scores[name]})
    return records


QUICK = {"blocks": [1, 1, 1, 1], "images": 3000, "epochs": 10, "noise": 0.05, "speedups": [1.5], "seeds": 2,
         "configs": 30, "rounds": 5}


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=16, help="channels of the first stage (full: 64)")
    parser.add_argument("--blocks", type=int, nargs=4, default=[3, 4, 6, 3], help="of each stage")
    parser.add_argument("--images", type=int, default=10000, help="to train on; half as many to test on")
    parser.add_argument("--noise", type=float, default=0.15, help="of the pixels: how hard the task is")
    parser.add_argument("--epochs", type=int, default=20, help="of the original")
    parser.add_argument("--tune-epochs", type=int, help="of each plan; default: a tenth of the original's")
    parser.add_argument("--rate", type=float, default=0.1, help="learning rate of the original")
    parser.add_argument("--tune-rate", type=float, default=0.02, help="of the fine-tunes")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--speedups", type=float, nargs="*", default=[2, 3, 4],
                        help="that plans are chosen for; none: only --plans, --variants and depthwise")
    parser.add_argument("--choices", nargs="*", choices=CHOICES, default=CHOICES, help="how plans are chosen")
    parser.add_argument("--peers", nargs="*", choices=F32_PEERS, default=[],
                        help="engines that run the original beside the plans")
    parser.add_argument("--plans", type=pathlib.Path, nargs="+", default=[], metavar="PLAN.json",
                        help="plans for another width of the network, whose rewrites are taken slot by slot")
    parser.add_argument("--variants", type=int, default=0, help="random plans of any speed, for the rank correlations")
    parser.add_argument("--seeds", type=int, default=3, help="fine-tunes of each plan")
    parser.add_argument("--variant-seeds", type=int, default=1, help="fine-tunes of each of the variants")
    parser.add_argument("--others", type=pathlib.Path, nargs="+", default=[], metavar="JSON",
                        help="accuracy.json of other networks: rank correlations are then given over all of them")
    parser.add_argument("--configs", type=int, default=1000, help="that explore's random search looks at")
    parser.add_argument("--score-images", type=int, default=256, help="for inherit and zero-shot loss")
    parser.add_argument("--fisher-images", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=20, help="of timing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="fine-tunes at once, without a GPU")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of training, together")
    parser.add_argument("--bfloat16", action="store_true",
                        help="train in mixed precision: faster where there are units for it")
    parser.add_argument("--quick", action="store_true", help="a small network, few images and plans: minutes")
    parser.add_argument("--folder", type=pathlib.Path, help="where it goes on; default: build/accuracy, or -quick")
    parser.add_argument("--out", type=pathlib.Path, help="where results go; default bench/results, or the folder")
    parser.add_argument("--name", default="accuracy", help="of the results: NAME.json, NAME.md and NAME.svg")
    if parser.parse_known_args()[0].quick:
        parser.set_defaults(**QUICK)
    options = parser.parse_args()
    if options.tune_epochs is None:
        options.tune_epochs = max(1, options.epochs // 10)
    options.folder = options.folder or ROOT / "build" / ("accuracy-quick" if options.quick else "accuracy")
    options.out = options.out or (options.folder if options.quick else ROOT / "bench" / "results")
    return options


def check_folder(options):
    """What is in the folder belongs to these options."""
    shaping = ("width", "blocks", "images", "noise", "epochs", "tune_epochs", "rate", "tune_rate", "batch", "configs",
               "score_images", "fisher_images", "seed", "bfloat16")
    identity = {key: getattr(options, key) for key in shaping}
    path = options.folder / "options.json"
    options.folder.mkdir(parents=True, exist_ok=True)
    before = dict(identity, bfloat16=False) | json.loads(path.read_text()) if path.exists() else identity
    if before != identity:
        sys.exit(f"{options.folder}: holds results of other options; take another --folder, or remove it")
    path.write_text(json.dumps(identity))


def main():
    options = parse_options()
    check_folder(options)
    import torch

    torch.set_num_threads(options.threads)
    from accuracy_report import write_report
    from accuracy_training import task, train_original

    folder, model = options.folder, options.folder / "original.onnx"
    (folder / "libraries").mkdir(exist_ok=True)
    files = task(folder, options)
    original_accuracy = train_original(folder, files, options, say)
    say(f"original: {100 * original_accuracy:.2f} %")
    chosen, missing = choose_plans(model, files, folder, options, say)
    plans = {"original": write_plan(folder / "original.plan.json", {}), **chosen}
    modules = transform_plans(model, plans, files, folder)
    times = time_plans(model, plans, folder, options)
    tuned = fine_tune(modules, files, folder, options)
    scores = predict(model, plans, modules, files, folder, options)
    records = summary(model, plans, modules, tuned, times, scores, options)
    print(write_report(records, missing, original_accuracy, options))


if __name__ == "__main__":
    main()
