// Kernels for processors of another kind, run by QEMU: what a target computes, not how fast.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace emulsion {

// Whether run_emulated runs kernels of this target: of arm-64-linux, where the build found Debian's
// cross compiler and qemu-aarch64.
bool emulates(const std::string& target);

struct EmulatedArgument {
  size_t memory = 0;  // place in the list of memories
  int64_t host = 0;   // floats from its beginning to what the kernel's buffer points to
};

struct Floats {
  float* data = nullptr;
  int64_t count = 0;
};

// Calls the kernel in a process of its own, on copies of the memories that are written back. Each
// ends where a page ends that is followed by one that cannot be touched.
Status run_emulated(const std::filesystem::path& library, const std::string& name,
                    const std::vector<Floats>& memories,
                    const std::vector<EmulatedArgument>& arguments);

}  // namespace emulsion
