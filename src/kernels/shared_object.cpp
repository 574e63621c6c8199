#include "kernels/shared_object.h"

#include <dlfcn.h>

namespace emulsion {

Result<SharedObject> SharedObject::open(const std::filesystem::path& path) {
  void* const handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) return failure("{}: cannot be loaded: {}", path.string(), ::dlerror());
  SharedObject object;
  object.path_ = path.string();
  object.handle_ = std::shared_ptr<void>(handle, [](void* h) { ::dlclose(h); });
  return object;
}

Result<void*> SharedObject::address_of(const std::string& symbol) const {
  void* const address = ::dlsym(handle_.get(), symbol.c_str());
  if (!address) return failure("{}: has no symbol {}", path_, symbol);
  return address;
}

}  // namespace emulsion
