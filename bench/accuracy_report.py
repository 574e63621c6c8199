"""The table, the plot and the rank correlations of accuracy.py."""

import json

import numpy as np

from accuracy_plans import CHOICES
from machine import cpu_name
from svg_chart import scatter

# Predictors and whether more of it should mean more accuracy.
PREDICTORS = {"inherit": -1, "zero_shot_loss": -1, "multiplies": 1, "fisher": 1}
RESAMPLES = 2000


def ranks(values):
    """From 0, ties at their mean."""
    values = np.asarray(values, float)
    order = np.argsort(values, kind="stable")
    result = np.empty(len(values))
    result[order] = np.arange(len(values))
    for value in np.unique(values):
        result[values == value] = result[values == value].mean()
    return result


def spearman(a, b):
    """None where one of them is constant."""
    a, b = ranks(a), ranks(b)
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) > 0 and np.ptp(b) > 0 else None


def interval(statistic, count, seed=0):
    """The 95 % interval of a statistic of the indices of resampled plans."""
    rng = np.random.default_rng(seed)
    values = [statistic(rng.integers(0, count, count)) for _ in range(RESAMPLES)]
    values = [v for v in values if v is not None]
    return [float(v) for v in np.percentile(values, [2.5, 97.5])] if values else None


def partial_spearman(a, b, given):
    """Of a and b with the ranks of given taken out of both."""
    ab, ag, bg = spearman(a, b), spearman(a, given), spearman(b, given)
    if None in (ab, ag, bg) or abs(ag) >= 1 or abs(bg) >= 1:
        return None
    return (ab - ag * bg) / np.sqrt((1 - ag**2) * (1 - bg**2))


def distinct_plans(plans):
    """Without those that rewrite nothing; two choices that come to the same plan count once for the correlations."""
    seen = {}
    for plan in plans:
        if plan["rewrites"]:
            seen.setdefault(json.dumps(plan["rewrites"], sort_keys=True), plan)
    return list(seen.values())


def within_networks(networks, value):
    """Ranks of a value among the plans of the same network, from 0 to 1: what is comparable across networks."""
    return np.concatenate([ranks([value(p) for p in plans]) / (len(plans) - 1) for plans in networks])


def correlations(networks):
    """{predictor: correlations} over the plans of one or more networks, ranked within each.

    Networks of few plans are left out.
    """
    networks = [distinct_plans(plans) for plans in networks]
    networks = [plans for plans in networks if len(plans) >= 4]
    if not networks:
        return {}
    accuracy = within_networks(networks, lambda p: p["accuracy"])
    multiplies = within_networks(networks, lambda p: p["multiplies"])
    found = {}
    for name, sign in PREDICTORS.items():
        values = within_networks(networks, lambda p: sign * p[name])
        partial = lambda i: partial_spearman(values[i], accuracy[i], multiplies[i])
        everything = np.arange(len(values))
        found[name] = {
            "spearman": spearman(values, accuracy),
            "interval": interval(lambda i: spearman(values[i], accuracy[i]), len(values)),
            "given_multiplies": None if name == "multiplies" else partial(everything),
            "given_multiplies_interval": None if name == "multiplies" else interval(partial, len(values)),
            "plans": len(values),
            "networks": len(networks),
        }
    return found


def seed_interval(values):
    """Of the mean over seeds, by bootstrap; with few seeds it is little more than their range."""
    values = np.array(values)
    return interval(lambda i: float(values[i].mean()), len(values)) if len(values) > 1 else [values[0], values[0]]


def plan_table(plans):
    base = next(p for p in plans if p["name"] == "original")
    engine = base["best_engine"]
    show = lambda v: f"{v:.2f}" if v else "tie"
    columns = {
        "plan": lambda p: p["name"],
        "rewritten slots": lambda p: str(len(p["rewrites"])),
        "multiplies": lambda p: f"{p['multiplies'] / base['multiplies']:.3f}",
        "ms": lambda p: f"{p['ms']:.3f}",
        "speed-up": lambda p: show(p["speedup"]),
        **({f"faster than {engine}'s original": lambda p: show(p["over_best_engine"])} if engine else {}),
        "accuracy before tuning": lambda p: f"{100 * p['accuracy_before']:.1f}",
        "accuracy, % (95 %)": lambda p: "{:.2f} ({:.2f} to {:.2f})".format(
            *(100 * v for v in (p["accuracy"], *p["interval"]))),
        "lost, points": lambda p: f"{100 * (base['accuracy'] - p['accuracy']):.2f}",
        "inherit": lambda p: f"{p['inherit']:.4f}",
        "Fisher, log": lambda p: f"{p['fisher']:.2f}",
        "zero-shot loss": lambda p: f"{p['zero_shot_loss']:.3f}",
    }
    rows = [list(columns), ["---"] * len(columns), *([cell(p) for cell in columns.values()] for p in plans)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def correlation_table(found):
    if not found:
        return "Too few plans for rank correlations."
    show = lambda v: "-" if v is None else f"{v:.2f}"
    span = lambda i: f" ({i[0]:.2f} to {i[1]:.2f})" if i else ""
    lines = ["| predictor | Spearman with accuracy (95 %) | given multiplies (95 %) |", "|---|---|---|"]
    for name, c in found.items():
        lines.append(f"| {name} | {show(c['spearman'])}{span(c['interval'])} | "
                     f"{show(c['given_multiplies'])}{span(c['given_multiplies_interval'])} |")
    return "\n".join(lines)


def together_text(together):
    if not together:
        return ""
    first = next(iter(together.values()))
    return (f"Over {first['plans']} distinct plans of {first['networks']} networks, ranked within each network:\n\n"
            f"{correlation_table(together)}\n\n")


def limits(options, plans, missing, original_accuracy):
    spread = 100 * np.sqrt(original_accuracy * (1 - original_accuracy) / max(256, options.images // 2))
    counted = len(distinct_plans(plans))
    lines = [f"One procedural task, one trained network (blocks {' '.join(map(str, options.blocks))}, width "
             f"{options.width}); {options.images} images to train on; it says nothing about ImageNet.",
             f"{options.seeds} seeds of the fine-tune ({options.variant_seeds} of a variant) and one of the original: the "
             "intervals of accuracy do not hold the luck of the original's training, and the test set alone has a standard "
             f"error of {spread:.1f} points.",
             f"Rank correlations are over {counted} distinct plans, some of them chosen by the very predictor that is "
             "correlated, and their intervals are wide; --variants N adds plans that are chosen at random.",
             f"Times and speed-ups are those of width {options.width}; at another they are others."]
    lines += [f"Missing: {name}: {why}." for name, why in missing.items()]
    return "\n".join(f"- {line}" for line in lines)


def plot(plans):
    names = ["original", *CHOICES, "given", "variant"]
    points = [(p["speedup"] or 1.0, 100 * p["accuracy"], 100 * p["interval"][0], 100 * p["interval"][1], p["choice"])
              for p in plans]
    used = [n for n in names if any(point[4] == n for point in points)]
    return scatter("Accuracy after a short fine-tune against measured speed-up", points, "speed-up over the original",
                   "accuracy on test images, %", used)


def write_report(plans, missing, original_accuracy, options):
    found = correlations([plans])
    settings = {key: value if isinstance(value, (int, float, list, bool)) else str(value)
                for key, value in vars(options).items() if key not in ("folder", "out", "others", "name", "plans")}
    others = [json.loads(path.read_text()) for path in options.others]
    together = correlations([plans, *(other["plans"] for other in others)]) if others else {}
    report = {"format": "emulsion-bench-accuracy-1", "cpu": cpu_name(), "options": settings,
              "original_accuracy": original_accuracy, "plans": plans, "missing": missing, "correlations": found,
              "correlations_with_others": together}
    text = (f"Plans chosen in several ways, fine-tuned from inherited weights for {options.tune_epochs} epoch(s) after "
            f"{options.epochs} of the original, which reached {100 * original_accuracy:.2f} % and is tuned on "
            f"alike{' (in bfloat16)' if options.bfloat16 else ''}. Mean of {options.seeds} seeds. Times: one thread of "
            f"{cpu_name()}, all plans {'and the original in other engines ' if options.peers else ''}in turns; multiplies "
            f"as a part of the original's.\n\n{plan_table(plans)}\n\n{correlation_table(found)}\n\n"
            f"{together_text(together)}Limits:\n\n{limits(options, plans, missing, original_accuracy)}\n")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{options.name}.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.out / f"{options.name}.md").write_text(text)
    (options.out / f"{options.name}.svg").write_text(plot(plans))
    return text
