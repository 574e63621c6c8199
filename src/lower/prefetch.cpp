#include "lower/prefetch.h"

#include "base/file.h"
#include "base/process.h"

namespace emulsion {

using namespace Halide::Internal;  // NOLINT: this file is about Halide's IR
using Halide::Expr;

namespace {

// How far ahead of its use a line is asked for: two pages, so that the next page's translation is
// there too. Anything from 4 to 32 KB measured alike.
constexpr int k_distance_bytes = 8 << 10;
// A loop body that loads more vectors than this is no stream.
constexpr size_t k_most_prefetches = 16;

class FindsLoops : public IRVisitor {
 public:
  bool found = false;

 private:
  using IRVisitor::visit;
  void visit(const For*) override { found = true; }
};

bool has_loop(const Stmt& statement) {
  FindsLoops finder;
  statement.accept(&finder);
  return finder.found;
}

// The first elements of all vectors that a statement loads from some buffers, in terms of variables
// from outside the statement.
class FindsVectorLoads : public IRVisitor {
 public:
  explicit FindsVectorLoads(const std::set<std::string>& buffers) : buffers_(buffers) {}
  std::vector<std::pair<std::string, Expr>> loads;

 private:
  using IRVisitor::visit;

  void visit(const LetStmt* op) override { with_let(op); }
  void visit(const Let* op) override { with_let(op); }

  template <class LetOrLetStmt>
  void with_let(const LetOrLetStmt* op) {
    op->value.accept(this);
    lets_.emplace_back(op->name, op->value);
    op->body.accept(this);
    lets_.pop_back();
  }

  void visit(const Load* op) override {
    const auto* ramp = op->index.as<Ramp>();
    if (buffers_.contains(op->name) && ramp && is_const_one(ramp->stride)) {
      Expr first = ramp->base;
      for (auto let = lets_.rbegin(); let != lets_.rend(); ++let)
        first = substitute(let->first, let->second, first);
      add(op->name, first);
    }
    IRVisitor::visit(op);
  }

  void add(const std::string& buffer, const Expr& first) {
    for (const auto& [name, other] : loads)
      if (name == buffer && equal(other, first)) return;
    loads.emplace_back(buffer, first);
  }

  const std::set<std::string>& buffers_;
  std::vector<std::pair<std::string, Expr>> lets_;
};

class InsertsPrefetches : public IRMutator {
 public:
  explicit InsertsPrefetches(const std::set<std::string>& buffers) : buffers_(buffers) {}
  bool inserted = false;

 private:
  using IRMutator::visit;

  Stmt visit(const For* op) override {
    if (has_loop(op->body)) return IRMutator::visit(op);
    FindsVectorLoads finder(buffers_);
    op->body.accept(&finder);
    if (finder.loads.empty() || finder.loads.size() > k_most_prefetches) return op;
    inserted = true;
    Stmt body = op->body;
    constexpr int k_distance = k_distance_bytes / static_cast<int>(sizeof(float));
    for (auto load = finder.loads.rbegin(); load != finder.loads.rend(); ++load) {
      const Expr base = Variable::make(Halide::Handle(), load->first);
      const Expr prefetch =
          Call::make(Halide::Float(32), Call::prefetch,
                     {base, simplify(load->second + k_distance), 1, 1}, Call::Intrinsic);
      body = Block::make(Evaluate::make(prefetch), body);
    }
    return For::make(op->name, op->min, op->extent, op->for_type, op->partition_policy,
                     op->device_api, body);
  }

  const std::set<std::string>& buffers_;
};

}  // namespace

std::optional<Halide::Module> with_prefetches(const Halide::Module& module,
                                              const std::set<std::string>& buffers) {
  InsertsPrefetches inserts(buffers);
  Halide::Module result(module.name(), module.target());
  for (LoweredFunc function : module.functions()) {
    function.body = inserts.mutate(function.body);
    result.append(function);
  }
  for (const auto& buffer : module.buffers()) result.append(buffer);
  if (!inserts.inserted) return std::nullopt;
  return result;
}

Status compile_with_l2_prefetches(const Halide::Module& module, const std::string& object_path) {
  const std::string assembly_path = object_path + ".s";
  module.compile({{Halide::OutputFileType::assembly, assembly_path}});
  TRY(std::string assembly, read_file(assembly_path));
  constexpr std::string_view k_non_temporal = "prefetchnta", k_second_level = "prefetcht1";
  for (size_t at = 0; (at = assembly.find(k_non_temporal, at)) != std::string::npos;)
    assembly.replace(at, k_non_temporal.size(), k_second_level);
  TRY_OK(write_file(assembly_path, assembly));
  TRY(const ProcessResult clang,
      run_process({"clang", "--target=x86_64-linux-gnu", "-c", assembly_path, "-o", object_path}));
  std::error_code ec;
  std::filesystem::remove(assembly_path, ec);
  if (clang.exit_code != 0) return failure("clang cannot assemble a kernel: {}", clang.errors);
  return ok();
}

}  // namespace emulsion
