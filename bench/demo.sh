#!/usr/bin/env bash
# One network the whole way: model, explore, compile, link an app, run it. ./dev demo runs this.
set -euo pipefail
cd "$(dirname "$0")/.."
emulsion=build/bin/emulsion
out=build/demo
mkdir -p "$out"

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }

step "1. A network: ResNet-34 for 32x32 images, as ONNX"
$emulsion model resnet34-cifar10 -o $out/resnet34.onnx
.venv/bin/python bench/procedural_data.py --images $out/images.npy --labels $out/labels.npy --count 16

step "2. Explore: which architecture twice as fast keeps its capacity?"
$emulsion explore $out/resnet34.onnx --data $out/images.npy --labels $out/labels.npy -o $out/explore \
  --rewrites '^(group [0-9]+|bottleneck co [0-9]+|depthwise)$' --target-speedup 2 || true

step "3. Compile the original, and the plan that is at least twice as fast"
$emulsion compile $out/resnet34.onnx -o $out/original --name original
plan=$(.venv/bin/python - $out/explore/pareto.json <<'PYTHON'
import json, sys
plans = [p for p in json.load(open(sys.argv[1]))["plans"] if p["rewritten"]]
print(max(plans, key=lambda p: p["measured"]["speedup"])["file"] if plans else "")
PYTHON
)
if [ -z "$plan" ]; then
  echo "No legal plan is twice as fast on this machine; $out/explore/report.html says what was rejected"
  exit 1
fi
$emulsion compile $out/resnet34.onnx --plan "$out/explore/$plan" -o $out/faster --name faster

step "4. Link both into one program and run it"
c++ -std=c++17 -O2 -I$out/original -I$out/faster bench/demo_app.cpp \
  $out/original/original.a $out/faster/faster.a -lpthread -ldl -o $out/app
$out/app

step "5. Where the time goes"
$emulsion bench $out/resnet34.onnx --layers
$emulsion bench $out/resnet34.onnx --plan "$out/explore/$plan" --layers

step "Report: $PWD/$out/explore/report.html"
