"""Google Benchmark's JSON of two small convolutions: warm and cold times of both, and what follows from them.

Run as: layer_benchmark_test.py SOURCE_DIR PROGRAM CACHE. Exit code 77: the program is not built.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

source, program, cache = map(pathlib.Path, sys.argv[1:])
if not program.exists():
    print("[SKIP] no Google Benchmark was found when this was configured")
    sys.exit(77)
sys.path.insert(0, str(source / "bench"))

import layers  # noqa: E402

layers.BENCHMARK = program
SHORT = ["--seconds", "0.001", "--benchmark_min_time=0.0001", "--cache", cache]
CONVS = [dict(zip(layers.FIELDS, (8, 6, 6, 16, 3, 3, 1, 1, 1, 1, 1, (1, 1, 1, 1)))),
         dict(zip(layers.FIELDS, (16, 7, 5, 16, 3, 3, 2, 2, 1, 1, 16, (1, 1, 1, 1))))]


def every_layer_has_warm_and_cold_times(model):
    found = layers.run_benchmark(model, *SHORT, "--benchmark_repetitions=3")
    assert sorted(found) == ["conv0", "conv1"], found
    for conv, rows in zip(CONVS, (found["conv0"], found["conv1"])):
        for benchmark in ("warm", "cold"):
            least, middle = rows[benchmark]["min"], rows[benchmark]["median"]
            assert 0 < least["real_time"] <= middle["real_time"] and least["time_unit"] == "ms"
            assert abs(least["gflop"] - layers.gflop(conv)) < 1e-12
            rate = least["gflop"] / (least["real_time"] * 1e-3)
            assert abs(least["gflops"] / rate - 1) < 1e-6
            peak = max(least["peak_before_gflops"], least["peak_after_gflops"])
            assert abs(least["percent_of_peak"] / (100 * rate / peak) - 1) < 1e-6
            assert "percent_of_peak" not in rows[benchmark]["stddev"]
        assert all(value > 0 for value in layers.our_times(rows).values())
    assert found["conv1"]["warm"]["min"]["label"].startswith("depthwise: ")


def plans_filters_and_files_are_taken(model, folder):
    written = folder / "out.json"
    plan = layers.direct_plan(CONVS, folder / "direct.plan.json")
    found = layers.run_benchmark(model, *SHORT, "--plan", plan, "--benchmark_filter=conv0/cold",
                                 f"--benchmark_out={written}")
    assert list(found) == ["conv0"] and list(found["conv0"]) == ["cold"], found
    assert found["conv0"]["cold"]["min"]["label"].startswith("direct: ")
    rows = {row["name"]: row for row in json.loads(written.read_text())["benchmarks"]}
    assert rows["conv0/cold_min"]["percent_of_peak"] == found["conv0"]["cold"]["min"]["percent_of_peak"]


def two_threads_are_taken(model):
    found = layers.run_benchmark(model, *SHORT, "--threads", "2", "--benchmark_filter=conv0")
    assert found["conv0"]["warm"]["min"]["peak_before_gflops"] > 0 and "then_fmas" not in found["conv0"]


def what_it_does_not_know_is_refused(model):
    for wrong in (["--bench"], ["--benchmark_out_format=csv"], ["--seconds", "0"]):
        done = subprocess.run([program, model, *wrong], capture_output=True, text=True)
        assert done.returncode != 0 and wrong[0].split("=")[0] in done.stderr + done.stdout, (wrong, done)


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    model = layers.write_model(CONVS, folder / "m.onnx")
    every_layer_has_warm_and_cold_times(model)
    plans_filters_and_files_are_taken(model, folder)
    two_threads_are_taken(model)
    what_it_does_not_know_is_refused(model)
