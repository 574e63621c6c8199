"""How accuracy.py comes to its plans: by explore's strategies, at random, and one that spares nothing."""

import hashlib
import json
import os
import random
import re
import shutil

from workers import Worker, emulsion, our_command, peer_command, take_turns, write_input

# What explore is asked for, by the name of the choice.
EXPLORED = {
    "fisher": ["--legality", "fisher", "--strategy", "random"],
    "inherit": ["--legality", "inherit", "--strategy", "exact"],
    "multiplies": ["--legality", "none", "--strategy", "exact"],
}
CHOICES = [*EXPLORED, "random", "depthwise"]


def slots(model):
    """(conv, its rewrites as steps) for each convolution that may be rewritten."""
    layers = json.loads(emulsion("inspect", model, "--json"))["layers"]
    return [(layer["conv"], [r["steps"] for r in layer["rewrites"]]) for layer in layers
            if "conv" in layer and layer.get("rewrites") and "excluded" not in layer]


def write_plan(path, rewrites):
    """A plan by hand: its empty network fits any whose shapes do."""
    layers = [{"conv": conv, "rewrite": steps} for conv, steps in sorted(rewrites.items())]
    path.write_text(json.dumps({"format": "emulsion-plan-1", "network": "", "layers": layers}, indent=1))
    return path


def explored_plan(choice, speedup, model, files, folder, options):
    """The plan that explore measured as the slowest of those at least so fast."""
    out = folder / f"explore_{choice}_{speedup:g}x"
    images, labels = files["calibration"]
    emulsion("explore", model, "-o", out, "--data", images, "--labels", labels, "--configs", options.configs, "--seed",
             options.seed, "--records", folder / "records.jsonl", "--target-speedup", speedup, *EXPLORED[choice])
    plans = json.loads((out / "pareto.json").read_text())["plans"]
    fast = [p for p in plans if p.get("measured") and p["measured"]["speedup"] >= speedup]
    if not fast:
        raise RuntimeError(f"explore found no plan {speedup:g} times as fast")
    return out / min(fast, key=lambda p: p["measured"]["speedup"])["file"]


def one_core_worker(name, command, model, output):
    """The command as a worker of one thread, on the first core."""
    core = sorted(os.sched_getaffinity(0))[:1]
    given = write_input(model, output.parent / "input.raw")
    return Worker(name, [*command, 1, given, output], core, output)


def plan_worker(name, model, plan, folder):
    """A process with the network compiled by the plan, on one core."""
    identifier = "plan_" + re.sub(r"\W", "_", name)
    command = our_command(model, identifier, folder / "libraries", ["--plan", plan])
    return one_core_worker(name, command, model, folder / f"{identifier}.output")


def peer_worker(peer, model, folder):
    """A process with another engine that runs the original, on the same core."""
    return one_core_worker(peer, peer_command(peer, model), model, folder / f"peer_{peer}.output")


def measured_speedup(model, plan, original_plan, folder, rounds=12):
    """Of the plan over the original, by minima, in turns; short ones, so that each meets a quiet moment."""
    workers = [plan_worker("before", model, original_plan, folder), plan_worker("after", model, plan, folder)]
    take_turns(workers, rounds, 0.05, f"speed of {plan.stem}")
    before, after = (min(w.times) for w in workers)
    return before / after


def random_plan(speedup, model, original_plan, folder, options):
    """Random rewrites in as few random slots as it takes to be so fast, by bisection over how many."""
    candidates, path = slots(model), folder / f"random_{speedup:g}x.try.json"
    for attempt in range(20):
        rng = random.Random(f"{options.seed} {speedup} {attempt}")
        order = rng.sample(candidates, len(candidates))
        rewrites = [(conv, rng.choice(steps)) for conv, steps in order]
        fast_enough = lambda n: measured_speedup(model, write_plan(path, dict(rewrites[:n])), original_plan,
                                                   folder) >= speedup
        if not fast_enough(len(rewrites)):
            continue
        low, high = 0, len(rewrites)  # too slow, fast enough
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if fast_enough(middle) else (middle, high)
        return write_plan(path, dict(rewrites[:high]))
    raise RuntimeError(f"no random plan is {speedup:g} times as fast")


def random_variant(number, model, folder, options):
    """Random rewrites in a random part of the slots, whatever its speed: for the rank correlations."""
    rng = random.Random(f"{options.seed} variant {number}")
    part = rng.random()
    chosen = {conv: rng.choice(steps) for conv, steps in slots(model) if rng.random() < part}
    return write_plan(folder / f"variant_{number}.try.json", chosen)


def depthwise_plan(model, folder):
    return write_plan(folder / "depthwise.try.json",
                      {conv: "depthwise" for conv, steps in slots(model) if "depthwise" in steps})


def given_name(file):
    """Of the plan in a file: files of one name may hold different plans."""
    return f"given_{file.stem}_{hashlib.sha256(file.read_bytes()).hexdigest()[:6]}"


def given_plan(file, model, folder):
    """The same rewrites, slot by slot, as a plan for another network has."""
    layers, possible = json.loads(file.read_text())["layers"], dict(slots(model))
    rewrites = {layer["conv"]: layer["rewrite"] for layer in layers if layer.get("rewrite")}
    for conv, steps in rewrites.items():
        if steps not in possible.get(conv, []):
            raise RuntimeError(f"{file}: conv {conv} cannot become '{steps}' at this width")
    return write_plan(folder / f"{given_name(file)}.try.json", rewrites)


def wanted_plans(options):
    """(name, choice, speed-up, number or file) of every plan."""
    names = [(f"{choice}_{speedup:g}x", choice, speedup) for speedup in options.speedups
             for choice in options.choices if choice != "depthwise"]
    if "depthwise" in options.choices:
        names.append(("depthwise", "depthwise", None))
    return [*names, *((given_name(p), "given", p) for p in options.plans),
            *((f"variant_{i}", "variant", i) for i in range(options.variants))]


def choose_plans(model, files, folder, options, say):
    """{name: plan file} of the plans that there are, chosen once; {name: why not} of the others."""
    plans, missing = {}, {}
    original = write_plan(folder / "original.plan.json", {})
    for name, choice, argument in wanted_plans(options):
        path = folder / f"{name}.plan.json"
        if not path.exists():
            say(f"choosing {name}")
            try:
                if choice in EXPLORED:
                    found = explored_plan(choice, argument, model, files, folder, options)
                elif choice == "random":
                    found = random_plan(argument, model, original, folder, options)
                elif choice == "variant":
                    found = random_variant(argument, model, folder, options)
                elif choice == "given":
                    found = given_plan(argument, model, folder)
                else:
                    found = depthwise_plan(model, folder)
            except RuntimeError as problem:
                missing[name] = str(problem).splitlines()[-1]
                say(f"{name} is missing: {missing[name]}")
                continue
            shutil.copy(found, path)
        plans[name] = path
    return plans, missing
