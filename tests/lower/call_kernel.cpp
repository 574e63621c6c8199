// call_kernel LIBRARY SYMBOL: calls a kernel on the memories that stdin has, and writes them to
// stdout. Of the processor that emulated_kernel.h has QEMU for; it says what the arguments are.
#include <HalideRuntime.h>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

namespace {

constexpr size_t k_most_arguments = 12;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "call_kernel: %s\n", what);
  std::exit(1);
}

void read(void* to, size_t bytes) {
  if (std::fread(to, 1, bytes, stdin) != bytes) fail("the call is incomplete");
}

int64_t read_number() {
  int64_t number;
  read(&number, sizeof(number));
  return number;
}

struct Memory {
  float* data;
  size_t bytes;
};

Memory read_memory() {
  const size_t page = sysconf(_SC_PAGESIZE), bytes = read_number() * sizeof(float);
  const size_t whole = (bytes + page - 1) / page * page;
  void* const base =
      mmap(nullptr, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) fail("no memory");
  if (mprotect(static_cast<char*>(base) + whole, page, PROT_NONE) != 0) fail("no guard page");
  const Memory memory{reinterpret_cast<float*>(static_cast<char*>(base) + whole - bytes), bytes};
  read(memory.data, bytes);
  return memory;
}

void* symbol(void* library, const char* name) {
  void* const address = dlsym(library, name);
  return address ? address : (fail(dlerror()), nullptr);
}

int serial_for(void* context, halide_task_t task, int min, int size, uint8_t* closure) {
  for (int i = min; i < min + size; ++i)
    if (const int code = task(context, i, closure)) return code;
  return 0;
}

template <size_t>
using Pointer = void*;

// A kernel does not look at arguments beyond its own.
template <size_t... I>
int call(void* kernel, void* const* arguments, std::index_sequence<I...>) {
  return reinterpret_cast<int (*)(Pointer<I>...)>(kernel)(arguments[I]...);
}

}  // namespace

int main(int, char** argv) {
  void* const library = dlopen(argv[1], RTLD_NOW);
  if (!library) fail(dlerror());
  void* const kernel = symbol(library, argv[2]);
  reinterpret_cast<halide_do_par_for_t (*)(halide_do_par_for_t)>(
      symbol(library, "halide_set_custom_do_par_for"))(serial_for);

  std::vector<Memory> memories(read_number());
  for (Memory& memory : memories) memory = read_memory();
  std::vector<halide_buffer_t> buffers(read_number());
  if (buffers.size() >= k_most_arguments) fail("too many arguments");
  void* arguments[k_most_arguments] = {};  // the first is the user context
  for (size_t i = 0; i < buffers.size(); ++i) {
    const int64_t memory = read_number(), host = read_number();
    buffers[i].host = reinterpret_cast<uint8_t*>(memories.at(memory).data + host);
    arguments[i + 1] = &buffers[i];
  }
  if (call(kernel, arguments, std::make_index_sequence<k_most_arguments>()) != 0)
    fail("the kernel failed");
  for (const Memory& memory : memories) std::fwrite(memory.data, 1, memory.bytes, stdout);
  return std::fclose(stdout) == 0 ? 0 : 1;
}
