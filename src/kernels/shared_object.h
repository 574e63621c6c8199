// A shared library loaded into this process, closed with its last holder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"

namespace emulsion {

class SharedObject {
 public:
  static Result<SharedObject> open(const std::filesystem::path& path);

  // The symbol, or an error that names library and symbol.
  template <class Function>
  Result<Function> find(const std::string& symbol) const {
    TRY(void* const address, address_of(symbol));
    return reinterpret_cast<Function>(address);
  }

 private:
  Result<void*> address_of(const std::string& symbol) const;

  std::string path_;
  std::shared_ptr<void> handle_;
};

}  // namespace emulsion
