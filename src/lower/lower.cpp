#include "lower/lower.h"

#include "base/divide.h"
#include "lower/algorithm_row.h"
#include "lower/prefetch.h"
#include "lower/shuffle.h"
#include "lower/target.h"

namespace emulsion {

namespace {

// Runs a job that calls Halide; its exceptions become errors of ours.
template <class Job>
auto catching(const KernelSpec& spec, Job job) -> decltype(job()) {
  try {
    return job();
  } catch (const Halide::Error& e) {
    return failure("Halide cannot compile {} with algorithm {}, schedule '{}': {}",
                   to_text(spec.op), spec.algorithm, spec.schedule, e.what());
  }
}

// A kernel never allocates: its scratch lies on the stack, with a size known now. Halide puts
// scratch there that is small, and of any size where it is stored in Register (but not where it is
// stored in Stack).
class FindsHeapAllocation : public Halide::Internal::IRVisitor {
 public:
  std::string found;

 private:
  using IRVisitor::visit;
  void visit(const Halide::Internal::Allocate* op) override {
    constexpr int64_t k_small = 16 << 10;
    const int64_t bytes = int64_t{op->constant_allocation_size()} * op->type.bytes();
    const bool in_register = op->memory_type == Halide::MemoryType::Register;
    if (bytes == 0 || (!in_register && bytes > k_small)) found = op->name;
    IRVisitor::visit(op);
  }
};

// Scratch in Stack is moved to Register before code generation. It cannot be stored there from the
// start: what slides along a loop would be moved from register to register instead of staying where
// it is.
class KeepsStackOnStack : public Halide::Internal::IRMutator {
 private:
  using IRMutator::visit;
  Halide::Internal::Stmt visit(const Halide::Internal::Allocate* op) override {
    const Halide::Internal::Stmt body = mutate(op->body);
    const bool stack = op->memory_type == Halide::MemoryType::Stack;
    if (!stack && body.same_as(op->body)) return op;
    return Halide::Internal::Allocate::make(
        op->name, op->type, stack ? Halide::MemoryType::Register : op->memory_type, op->extents,
        op->condition, body, op->new_expr, op->free_function, op->padding);
  }
};

Halide::Module with_stack_scratch(const Halide::Module& module) {
  KeepsStackOnStack keeps;
  Halide::Module result(module.name(), module.target());
  for (Halide::Internal::LoweredFunc function : module.functions()) {
    function.body = keeps.mutate(function.body);
    result.append(function);
  }
  for (const auto& buffer : module.buffers()) result.append(buffer);
  return result;
}

// Large constants, a large residual, and what lies behind the constants if the spec says so.
Prefetched prefetched(const KernelSpec& spec) {
  // A network's inference cannot expect such constants in a cache, and a part of such a residual
  // has left the second level cache.
  constexpr int64_t k_least_constant_bytes = 128 << 10, k_least_residual_bytes = 512 << 10;
  Prefetched result;
  result.next_bytes = spec.prefetch_next_kb << 10;
  const std::vector<PackedConstant> packed = constant_shapes(spec);
  int64_t end = 0;
  for (size_t i = packed.size(); i-- > 0;) {
    const std::string name = fmt::format("constant{}", i);
    const int64_t bytes = byte_count(packed[i]);
    if (bytes >= k_least_constant_bytes) result.streams.insert(name);
    end += round_up(bytes, k_constant_alignment);
    result.ends[name] = end;
  }
  const auto* conv = std::get_if<Conv>(&spec.op);
  if (conv && conv->epilogue.residual &&
      4 * storage_elements(spec.inputs[1]) >= k_least_residual_bytes)
    result.late.insert("residual");
  return result;
}

}  // namespace

Halide::Pipeline LoweredKernel::pipeline() const {
  Halide::Pipeline pipeline(output);
  if (shuffled_block > 1)
    pipeline.add_custom_lowering_pass(new ShufflesBlocks(shuffled_buffer, shuffled_block));
  return pipeline;
}

Result<LoweredKernel> lower(const KernelSpec& spec) {
  const AlgorithmRow* row = find_row(spec.algorithm);
  if (!row) return error("no algorithm is called '{}'", spec.algorithm);
  return catching(spec, [&] { return row->lower(spec); });
}

Status compile_to_object(const KernelSpec& spec, const std::string& object_path,
                         bool prefetch_constants) {
  TRY(LoweredKernel kernel, lower(spec));
  const Halide::Target target = kernel.target.with_feature(Halide::Target::UserContext)
                                    .with_feature(Halide::Target::NoRuntime)
                                    .with_feature(Halide::Target::NoAsserts)
                                    .with_feature(Halide::Target::NoBoundsQuery);
  return catching(spec, [&]() -> Status {
    const std::string name = kernel_name(spec);
    const Halide::Module module = with_stack_scratch(kernel.pipeline().compile_to_module(
        kernel.arguments, name, target, Halide::LinkageType::External));
    FindsHeapAllocation heap;
    for (const auto& function : module.functions()) function.body.accept(&heap);
    if (!heap.found.empty())
      return failure("kernel {} would allocate {} on the heap", to_text(spec.op), heap.found);
    if (prefetch_constants && target.arch == Halide::Target::X86) {
      const auto prefetching = with_prefetches(module, prefetched(spec));
      if (prefetching) return compile_with_l2_prefetches(*prefetching, object_path);
    }
    module.compile({{Halide::OutputFileType::object, object_path}});
    return ok();
  });
}

Status compile_runtime(const std::string& target, const std::string& object_path) {
  try {
    Halide::compile_standalone_runtime(object_path, halide_target(target));
    return ok();
  } catch (const Halide::Error& e) {
    return failure("Halide cannot compile its runtime for {}: {}", target, e.what());
  }
}

}  // namespace emulsion
