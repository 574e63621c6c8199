#include "cli/onnx_runtime.h"

#include "base/file.h"
#include "base/npy.h"
#include "base/process.h"

namespace emulsion {
namespace {

constexpr const char* k_run_session = R"(
import sys
import numpy
import onnxruntime
model, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
options = onnxruntime.SessionOptions()
options.log_severity_level = 3
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
names = [value.name for value in session.get_inputs()]
if len(names) != count:
    sys.exit(f"the model has {len(names)} inputs, {count} are given")
feeds = {name: numpy.load(f"{folder}/in{i}.npy") for i, name in enumerate(names)}
for i, y in enumerate(session.run(None, feeds)):
    numpy.save(f"{folder}/out{i}.npy", numpy.ascontiguousarray(y, dtype=numpy.float32).reshape(y.shape))
)";

std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const size_t newline = text.rfind('\n');
  return newline == std::string::npos ? text : text.substr(newline + 1);
}

}  // namespace

std::optional<PythonOracle> find_python_with(const std::string& package,
                                             const std::string& python) {
  std::vector<std::string> candidates = {"python3", ".venv/bin/python"};
  if (!python.empty()) candidates = {python};
  for (const std::string& candidate : candidates) {
    if (find_program(candidate).empty()) continue;
    ProcessOptions options;
    options.seconds = 60;
    const auto result =
        run_process({candidate, "-c",
                     fmt::format("import {0}; print(getattr({0}, '__version__', '?'))", package)},
                    options);
    if (!result.ok() || result->exit_code != 0) continue;
    return PythonOracle{candidate, last_line(result->output)};
  }
  return std::nullopt;
}

Result<std::vector<Tensor>> run_onnx_runtime(const PythonOracle& oracle,
                                             const std::filesystem::path& model,
                                             const std::vector<Tensor>& inputs) {
  const TemporaryDirectory folder;
  for (size_t i = 0; i < inputs.size(); ++i) {
    TRY_OK(write_npy(folder.path() / fmt::format("in{}.npy", i), inputs[i].shape, inputs[i].data));
  }
  TRY(const ProcessResult result,
      run_process({oracle.python, "-c", k_run_session, model.string(), folder.path().string(),
                   fmt::format("{}", inputs.size())}));
  if (result.exit_code != 0) return failure("{}", last_line(result.errors));
  std::vector<Tensor> outputs;
  for (int i = 0;; ++i) {
    const auto file = folder.path() / fmt::format("out{}.npy", i);
    if (!std::filesystem::exists(file)) return outputs;
    TRY(const Npy npy, read_npy(file));
    outputs.emplace_back(npy.shape, std::vector<float>(npy.values.begin(), npy.values.end()));
  }
}

}  // namespace emulsion
