"""The benchmarks' own arithmetic: ratios and ties, rank correlations, charts, the shapes of single layers, scores.

Run as: tools_test.py SOURCE_DIR.
"""

import argparse
import json
import pathlib
import sys
import tempfile
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(sys.argv[1]) / "bench"))

import numpy as np  # noqa: E402

import accuracy_report  # noqa: E402
import layers  # noqa: E402
import peers  # noqa: E402
import svg_chart  # noqa: E402
import workers  # noqa: E402


def a_ratio_is_a_tie_where_the_medians_disagree():
    ours = {"min_ms": 10.0, "median_ms": 11.0}
    assert workers.ratio({"min_ms": 12.0, "median_ms": 13.0}, ours) == 1.2
    assert workers.ratio({"min_ms": 12.0, "median_ms": 10.5}, ours) is None
    fast, slow = {"min_ms": 9.0, "median_ms": 12.0}, {"min_ms": 20.0, "median_ms": 21.0}
    bf16 = dict.fromkeys(peers.BF16_PEERS, {"min_ms": 2.0, "median_ms": 2.0})
    result = {"network": "n", "threads": 1, "engines": {"emulsion": ours, "ncnn": slow, "mnn": fast, **bf16}}
    # The best is the fastest of those that compute in f32.
    assert peers.best_peer(result) == ("mnn", None)
    assert "tie (mnn)" in peers.table([result], ["emulsion", "mnn"])
    without = {**result, "engines": {k: v for k, v in result["engines"].items() if k != "mnn"}}
    assert "**2.00** (ncnn)" in peers.table([without], ["emulsion"])


def a_resumed_run_measures_anew_what_others_measured():
    peers.program_hash, peers.installed_version = (lambda: "now"), {"ncnn": "2", "mnn": None}.get
    result = {"program": "now", "engines": {"ncnn": {"version": "2"}, "mnn": {"version": "1"}}, "left_out": {"x": "why"}}
    assert peers.outdated(result, ["ncnn", "mnn", "x"]) is None
    assert "another build" in peers.outdated({**result, "program": "before"}, ["ncnn"])
    assert "another build" in peers.outdated({k: v for k, v in result.items() if k != "program"}, [])
    assert peers.outdated({**result, "engines": {"ncnn": {"version": "1"}}}, ["ncnn"]) == "with ncnn 1, not 2"
    assert peers.outdated(result, ["onnxruntime"]) == "without onnxruntime"


def a_resumed_run_is_of_the_same_conditions():
    with tempfile.TemporaryDirectory() as folder:
        options = argparse.Namespace(out=pathlib.Path(folder), stem="peers", resume=True, budget=0, target="host",
                                     rounds=10, seconds=0.3)
        assert peers.earlier_report(options)["results"] == []
        report = {"format": peers.FORMAT, "cpu": peers.cpu_name(), "features": peers.cpu_features(), "budget": 0,
                  "rounds": 10, "seconds": 0.3, "results": ["earlier"]}
        (options.out / "peers.json").write_text(json.dumps(report))
        # Reports that name no target are of the host's.
        assert peers.earlier_report(options)["results"] == ["earlier"]
        for key, value in {"target": "arm-64-linux", "rounds": 20, "budget": 1}.items():
            try:
                peers.earlier_report(argparse.Namespace(**{**vars(options), key: value}))
            except SystemExit as refused:
                assert f"has {key} " in str(refused)
            else:
                raise AssertionError(f"went on with another {key}")


def a_run_of_some_models_writes_only_where_it_is_told():
    def stem(*arguments):
        sys.argv = ["layers.py", *arguments]
        return layers.parse_options().stem

    assert stem() == "layers" and stem("--direct") == "layers_direct"
    assert stem("--model", "resnet18") is None and stem("--model", "resnet18", "--direct") is None
    assert stem("--model", "resnet18", "--stem", "mine") == "mine"


def rank_correlations_are_the_textbooks():
    assert abs(accuracy_report.spearman([1, 2, 3, 4], [10, 20, 30, 25]) - 0.8) < 1e-12
    assert abs(accuracy_report.spearman([1, 1, 2, 3], [1, 2, 3, 4]) - 0.9486832980505138) < 1e-12
    assert accuracy_report.spearman([1, 1, 1], [1, 2, 3]) is None
    a, b, g = [1, 3, 2, 5, 4], [2, 3, 1, 4, 5], [1, 2, 3, 4, 5]
    # (r_ab - r_ag r_bg) / sqrt((1 - r_ag^2) (1 - r_bg^2)) with 0.8, 0.8, 0.7
    expected = (0.8 - 0.8 * 0.7) / np.sqrt((1 - 0.64) * (1 - 0.49))
    assert abs(accuracy_report.partial_spearman(a, b, g) - expected) < 1e-12
    low, high = accuracy_report.interval(lambda i: float(np.mean(np.arange(100)[i])), 100)
    assert 42 < low < 49.5 < high < 57


def charts_are_valid_svg():
    for text in [svg_chart.bars("a < b", [("net", {"x": 1.0, "y": 2.5}), ("other", {"x": 1.0})], ["x", "y"]),
                 svg_chart.scatter("t", [(1, 90, 89, 91, "p"), (2, 85, 84, 86, "q")], "x", "y", ["p", "q"]),
                 svg_chart.scatter("one point", [(1, 90, 90, 90, "p")], "x", "y", ["p"])]:
        assert xml.etree.ElementTree.fromstring(text).tag.endswith("svg")


def single_layers_have_the_shapes_of_their_networks():
    import onnx

    conv = dict(zip(layers.FIELDS, (4, 9, 7, 6, 3, 1, 2, 1, 1, 1, 2, (1, 0, 0, 0))))
    assert layers.shape_text(conv) == "4x9x7 -> 6x4x7 k3x1 s2x1 g2"
    assert abs(layers.gflop(conv) - 2e-9 * 6 * 2 * 3 * 4 * 7) < 1e-18
    with tempfile.TemporaryDirectory() as folder:
        path = layers.write_model([conv, conv], pathlib.Path(folder) / "m.onnx")
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        assert layers.convs_of_model("m", pathlib.Path(folder)) == [conv, conv]


def scores_are_zero_for_the_identity_and_add_up():
    try:
        import torch
        from torch import nn
    except ImportError as missing:
        print(f"[SKIP] {missing}")
        return
    import accuracy_scores

    class Net(nn.Module):
        def __init__(self, groups):
            super().__init__()
            self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
            self.a, self.norm_a = nn.Conv2d(8, 8, 3, padding=1, bias=False, groups=groups[0]), nn.BatchNorm2d(8)
            self.b, self.norm_b = nn.Conv2d(8, 8, 3, padding=1, bias=False, groups=groups[1]), nn.BatchNorm2d(8)
            self.relu, self.classes = nn.ReLU(), nn.Linear(8, 4)

        def forward(self, x):
            x = self.relu(self.norm(self.stem(x)))
            y = self.relu(self.norm_a(self.a(x)))
            x = self.norm_b(self.b(y)) + x
            return self.classes(x.mean((2, 3)))

    torch.manual_seed(0)
    net = Net((1, 1))
    images, labels = torch.randn(16, 3, 6, 6), torch.randint(0, 4, (16,))
    net.train()
    for _ in range(100):  # the running statistics become those of the batch
        net(images)
    norms, sources = accuracy_scores.slot_norms(net, [1, 2])
    assert norms == {1: "norm_a", 2: "norm_b"}
    original = accuracy_scores.Original(net, sources, images, labels)

    def candidate(groups):
        """With slices of the original's weights."""
        other = Net(groups)
        state = {name: value.clone() for name, value in net.state_dict().items()}
        for name, g in zip(("a.weight", "b.weight"), groups):
            n = 8 // g
            state[name] = torch.cat([state[name][i * n:(i + 1) * n, i * n:(i + 1) * n] for i in range(g)])
        other.load_state_dict(state)
        return other

    names = list(norms.values())
    identity = accuracy_scores.inherit(candidate((1, 1)), names, original)
    assert identity < 1e-5, identity  # the running variance is the unbiased one
    both = accuracy_scores.inherit(candidate((2, 4)), names, original)
    alone = (accuracy_scores.inherit(candidate((2, 1)), names[:1], original)
             + accuracy_scores.inherit(candidate((1, 4)), names[1:], original))
    assert both > 0.01 and abs(both - alone) < 1e-6 * both
    # Fisher Potential does not see the inherited weights, and is the same for the same seeds.
    score = accuracy_scores.fisher(net, names, images, labels, 2)
    assert np.isfinite(score) and score == accuracy_scores.fisher(candidate((1, 1)), names, images, labels, 2)


for test in [a_ratio_is_a_tie_where_the_medians_disagree, a_resumed_run_measures_anew_what_others_measured,
             a_resumed_run_is_of_the_same_conditions, a_run_of_some_models_writes_only_where_it_is_told,
             rank_correlations_are_the_textbooks, charts_are_valid_svg, single_layers_have_the_shapes_of_their_networks,
             scores_are_zero_for_the_identity_and_add_up]:
    test()
    print(f"ok: {test.__name__}")
