// Driver, kernels and runtime -> one relocatable object whose only global symbols are the network's
// own, in an archive. Uses ld.lld, llvm-objcopy and llvm-ar.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace emulsion {

// Whether a library can hold so many bytes of weights: code reaches what lies within 2 GiB.
bool library_holds(int64_t weights_bytes);

// Compiles folder/source to folder/object with the C compiler cc ("clang" falls back to "cc").
Status compile_c(const std::string& cc, const std::filesystem::path& folder,
                 const std::string& source, const std::string& object);

// Links objects to `library` and `merged`, the one object in it; only `symbols` stay global.
Status link_library(const std::vector<std::filesystem::path>& objects,
                    const std::vector<std::string>& symbols, const std::filesystem::path& merged,
                    const std::filesystem::path& library);

// Links all of a library with the C library into a shared library that can be loaded.
Status link_shared(const std::string& cc, const std::filesystem::path& library,
                   const std::filesystem::path& shared_library);

// Whether one of the objects refers to the symbol without defining it. Objects are ELF, 64 bits.
Result<bool> refers_to(const std::vector<std::filesystem::path>& objects,
                       const std::string& symbol);

// Bytes of machine code in an object.
Result<int64_t> code_bytes(const std::filesystem::path& object);

}  // namespace emulsion
