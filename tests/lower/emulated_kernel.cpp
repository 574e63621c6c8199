#include "emulated_kernel.h"

#include <cstring>

#include "base/process.h"

namespace emulsion {

namespace {

constexpr double k_seconds = 60;

void append(std::string& text, const void* data, size_t bytes) {
  text.append(static_cast<const char*>(data), bytes);
}

void append(std::string& text, int64_t number) {
  append(text, &number, sizeof(number));
}

}  // namespace

bool emulates(const std::string& target) {
  return *EMULSION_CALL_ARM64_KERNEL != '\0' && target.starts_with("arm-64-linux");
}

Status run_emulated(const std::filesystem::path& library, const std::string& name,
                    const std::vector<Floats>& memories,
                    const std::vector<EmulatedArgument>& arguments) {
  std::string call;
  append(call, static_cast<int64_t>(memories.size()));
  for (const Floats& memory : memories) {
    append(call, memory.count);
    append(call, memory.data, memory.count * sizeof(float));
  }
  append(call, static_cast<int64_t>(arguments.size()));
  for (const EmulatedArgument& argument : arguments) {
    append(call, static_cast<int64_t>(argument.memory));
    append(call, argument.host);
  }
  TRY(const ProcessResult ran, run_process({EMULSION_QEMU_ARM64, "-L", EMULSION_ARM64_ROOT,
                                            EMULSION_CALL_ARM64_KERNEL, library.string(), name},
                                           {.input = call, .seconds = k_seconds}));
  if (ran.timed_out) return failure("kernel {} in QEMU: not done in {} s", name, k_seconds);
  if (ran.exit_code != 0)
    return failure("kernel {} in QEMU: exit code {}: {}", name, ran.exit_code, ran.errors);
  const char* from = ran.output.data();
  for (const Floats& memory : memories) {
    std::memcpy(memory.data, from, memory.count * sizeof(float));
    from += memory.count * sizeof(float);
  }
  EMULSION_CHECK(from == ran.output.data() + ran.output.size());
  return ok();
}

}  // namespace emulsion
