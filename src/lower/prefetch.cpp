#include "lower/prefetch.h"

#include <limits>

#include "base/divide.h"
#include "base/file.h"
#include "base/process.h"
#include "lower/lets.h"

namespace emulsion {

using namespace Halide::Internal;  // NOLINT: this file is about Halide's IR
using Halide::Expr;

namespace {

// How far ahead of its use a line is asked for: two pages, so that the next page's translation is
// there too. Anything from 4 to 32 KB measured alike.
constexpr int k_distance_bytes = 8 << 10;
// A tile and the next one stay in the second level cache together.
constexpr int k_most_tile_bytes = 512 << 10;
// A loop body that loads more vectors than this is no stream.
constexpr size_t k_most_prefetches = 16;
// Nor are more vectors than this asked for at once: they would wait for one another.
constexpr size_t k_most_late_loads = 64;
// A tile asks for no more of what lies behind the constants than this: it would wait for that.
constexpr int64_t k_most_next_lines = 64;

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

// A vector of a buffer: its first element, in terms of variables from outside a statement.
struct VectorLoad {
  std::string buffer;
  Expr first;
  int element_bytes = 4;
  int lanes = 1;

  int bytes() const { return element_bytes * lanes; }
};

// Whether a statement computes sums from some constants in a Func of its own, before any loop: then
// it is one tile.
class FindsSums : public IRVisitor {
 public:
  explicit FindsSums(const std::map<std::string, int64_t>& constants) : constants_(constants) {}
  std::string constant;  // that they are computed from

 private:
  using IRVisitor::visit;
  void visit(const For* op) override {
    if (in_func_) IRVisitor::visit(op);
  }
  void visit(const ProducerConsumer* op) override {
    const bool outside = !in_func_ && op->is_producer;
    if (outside) in_func_ = true;
    IRVisitor::visit(op);
    if (outside) in_func_ = false;
  }
  void visit(const Load* op) override {
    if (in_func_ && constant.empty() && constants_.contains(op->name)) constant = op->name;
    IRVisitor::visit(op);
  }

  const std::map<std::string, int64_t>& constants_;
  bool in_func_ = false;
};

// How many iterations the parallel loops have that run functions of a module, by function.
class FindsParallelLoops : public IRVisitor {
 public:
  std::map<std::string, int> extents;

 private:
  using IRVisitor::visit;
  void visit(const Call* op) override {
    IRVisitor::visit(op);
    if (op->name != "halide_do_par_for" || op->args.size() != 4) return;
    const auto* function = op->args[0].as<Variable>();  // with "::" in front
    const auto extent = as_const_int(op->args[2]);
    if (function && extent) extents[function->name] = static_cast<int>(*extent);
  }
};

// All vectors that a statement loads from some buffers.
class FindsVectorLoads : public IRVisitor {
 public:
  explicit FindsVectorLoads(const std::set<std::string>& buffers) : buffers_(buffers) {}
  std::vector<VectorLoad> loads;

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
      add({op->name, substitute_lets(lets_, ramp->base), op->type.bytes(), op->type.lanes()});
    }
    IRVisitor::visit(op);
  }

  void add(VectorLoad load) {
    for (const VectorLoad& other : loads)
      if (other.buffer == load.buffer && equal(other.first, load.first)) return;
    loads.push_back(std::move(load));
  }

  const std::set<std::string>& buffers_;
  Lets lets_;
};

// A constant that is read once for each iteration of some loops around, then the next part of it:
//   for tile: for again (T iterations in all): for inner: load constant[E(tile, inner)]
struct Stream {
  Expr start;      // E at the first inner iteration
  Expr position;   // E - start
  int tile = 0;    // elements from one tile to the next
  Expr pass;       // which of the readings of a tile this is
  int passes = 1;  // T
};

class InsertsPrefetches : public IRMutator {
 public:
  InsertsPrefetches(const Prefetched& prefetched, std::map<std::string, int> parallel)
      : prefetched_(prefetched), parallel_(std::move(parallel)) {}
  bool inserted = false;

  Stmt body_of(const LoweredFunc& function) {
    task_.clear();
    // A parallel loop's body is a function of its iteration.
    for (const LoweredArgument& argument : function.args)
      if (argument.is_scalar() && argument.type == Halide::Int(32)) task_ = argument.name;
    const auto parallel = parallel_.find("::" + function.name);
    tasks_ = parallel == parallel_.end() ? 0 : parallel->second;
    return with_next(function.body, mutate(function.body));
  }

 private:
  using IRMutator::visit;

  Stmt visit(const LetStmt* op) override {
    lets_.emplace_back(op->name, op->value);
    Stmt result = IRMutator::visit(op);
    lets_.pop_back();
    return result;
  }

  // Sums are produced, then consumed beside what is loaded late: that is asked for before the sums.
  Stmt visit(const Block* op) override {
    Stmt result = IRMutator::visit(op);
    const auto* sums = op->first.as<ProducerConsumer>();
    if (!sums || !sums->is_producer || has_loop(op->rest)) return result;
    FindsVectorLoads finder(prefetched_.late);
    op->rest.accept(&finder);
    if (finder.loads.size() > k_most_late_loads) return result;
    for (const VectorLoad& load : finder.loads) {
      inserted = true;
      result = Block::make(prefetch(load), result);
    }
    return result;
  }

  Stmt visit(const For* op) override {
    loops_.push_back(op);
    Stmt result = has_loop(op->body) ? with_body(op, with_next(op->body, mutate(op->body)))
                                     : with_prefetches(op);
    loops_.pop_back();
    return result;
  }

  static Stmt with_body(const For* op, const Stmt& body) {
    return For::make(op->name, op->min, op->extent, op->for_type, op->partition_policy,
                     op->device_api, body);
  }

  // A tile's statement, and before it the prefetches of its share of what lies behind the
  // constants. Only the first loop over tiles has them.
  Stmt with_next(const Stmt& original, const Stmt& mutated) {
    if (prefetched_.next_bytes == 0 || inserted_next_) return mutated;
    FindsSums sums(prefetched_.ends);
    original.accept(&sums);
    if (sums.constant.empty()) return mutated;
    Expr position = 0;  // of the tile
    int64_t tiles = 1;
    for (auto loop = loops_.rbegin(); loop != loops_.rend(); ++loop) {
      const auto extent = as_const_int(bound((*loop)->extent, Direction::Upper));
      if (!extent || *extent < 1) return mutated;
      position +=
          (Variable::make(Halide::Int(32), (*loop)->name) - (*loop)->min) * static_cast<int>(tiles);
      tiles *= *extent;
    }
    if (!task_.empty()) {
      position += Variable::make(Halide::Int(32), task_) * static_cast<int>(tiles);
      tiles *= tasks_;
    }
    const int64_t end = prefetched_.ends.at(sums.constant);
    const int64_t lines =
        std::min<int64_t>(prefetched_.next_bytes / k_line_bytes, k_most_next_lines * tiles);
    constexpr int64_t k_most = std::numeric_limits<int>::max();
    if (tiles == 0 || tiles * lines > k_most || end + prefetched_.next_bytes > k_most)
      return mutated;
    inserted = inserted_next_ = true;
    const Expr first = position * static_cast<int>(lines) / static_cast<int>(tiles);
    std::vector<Stmt> prefetches;
    for (int i = 0; i < divide_up(lines, tiles); ++i) {
      const Expr line = min(first + i, static_cast<int>(lines) - 1);
      prefetches.push_back(
          prefetch({sums.constant, static_cast<int>(end) + line * k_line_bytes, 1}));
    }
    return within_lets(Block::make(prefetches), mutated);
  }

  // One statement before another, but after the other's lets: they may say where constants are.
  static Stmt within_lets(const Stmt& first, const Stmt& statement) {
    if (const auto* let = statement.as<LetStmt>())
      return LetStmt::make(let->name, let->value, within_lets(first, let->body));
    return Block::make(first, statement);
  }

  Stmt with_prefetches(const For* op) {
    FindsVectorLoads finder(prefetched_.streams);
    op->body.accept(&finder);
    if (finder.loads.empty() || finder.loads.size() > k_most_prefetches) return op;
    inserted = true;
    Stmt body = op->body;
    for (const VectorLoad& line : wanted(finder.loads)) body = Block::make(prefetch(line), body);
    return with_body(op, body);
  }

  static Stmt prefetch(const VectorLoad& line) {
    const Expr base = Variable::make(Halide::Handle(), line.buffer);
    return Evaluate::make(Call::make(Halide::UInt(8 * line.element_bytes), Call::prefetch,
                                     {base, simplify(line.first), 1, 1}, Call::Intrinsic));
  }

  // What to ask for, by first elements, in an iteration that loads these vectors.
  std::vector<VectorLoad> wanted(const std::vector<VectorLoad>& loads) const {
    std::vector<VectorLoad> result;
    if (const auto stream = stream_of(loads)) {
      // The next tile's lines, spread evenly over all readings of this one.
      const int line = k_line_bytes / loads[0].element_bytes;
      const int elements = static_cast<int>(loads.size()) * loads[0].lanes;
      const auto lines = static_cast<int>(divide_up(elements, int64_t{line} * stream->passes));
      const Expr done = (stream->pass * stream->tile + stream->position) / stream->passes;
      for (int i = 0; i < lines; ++i) {
        result.push_back(loads[0]);
        result.back().first = stream->start + stream->tile + done + i * line;
      }
      return result;
    }
    for (const VectorLoad& load : loads) {
      result.push_back(load);
      result.back().first = load.first + k_distance_bytes / load.element_bytes;
    }
    return result;
  }

  // The stream that an innermost loop's loads belong to, if a tile of it is read more than once.
  std::optional<Stream> stream_of(const std::vector<VectorLoad>& loads) const {
    const int element_bytes = loads[0].element_bytes, lanes = loads[0].lanes;
    const Expr first = substitute_lets(lets_, loads[0].first);
    for (size_t i = 0; i < loads.size(); ++i) {
      const Expr expected = first + static_cast<int>(i) * lanes;
      if (loads[i].buffer != loads[0].buffer || loads[i].bytes() != loads[0].bytes() ||
          !is_const_zero(simplify(substitute_lets(lets_, loads[i].first) - expected)))
        return std::nullopt;
    }
    Stream stream{first, first, 0, 0, 1};
    // Loops may be shorter where taps only read padding: they count as they are elsewhere.
    auto loop = loops_.rbegin();
    for (; loop != loops_.rend() && expr_uses_var(first, (*loop)->name); ++loop)
      stream.start = substitute((*loop)->name, bound((*loop)->min, Direction::Lower), stream.start);
    stream.position = simplify(first - stream.start);
    for (; loop != loops_.rend() && !expr_uses_var(first, (*loop)->name); ++loop) {
      const auto extent = as_const_int(bound((*loop)->extent, Direction::Upper));
      if (!extent || *extent < 1) return std::nullopt;
      stream.pass +=
          (Variable::make(Halide::Int(32), (*loop)->name) - (*loop)->min) * stream.passes;
      stream.passes *= static_cast<int>(*extent);
    }
    const std::string outer = loop == loops_.rend() ? task_ : (*loop)->name;
    if (stream.passes == 1 || outer.empty()) return std::nullopt;
    const Expr next = Variable::make(Halide::Int(32), outer) + 1;
    const auto tile = as_const_int(simplify(substitute(outer, next, stream.start) - stream.start));
    if (!tile || *tile * element_bytes < k_line_bytes ||
        *tile * element_bytes > k_most_tile_bytes ||
        stream.passes > std::numeric_limits<int>::max() / *tile)
      return std::nullopt;
    stream.tile = static_cast<int>(*tile);
    return stream;
  }

  // The least or largest value of a loop's min or extent, or that itself where there is no telling.
  Expr bound(const Expr& value, Direction direction) const {
    Scope<Interval> loops;
    for (const For* loop : loops_)
      loops.push(loop->name, Interval(simplify(loop->min), simplify(loop->min + loop->extent - 1)));
    const Expr constant = find_constant_bound(substitute_lets(lets_, value), direction, loops);
    return constant.defined() ? constant : value;
  }

  static constexpr int k_line_bytes = 64;

  const Prefetched& prefetched_;
  const std::map<std::string, int> parallel_;  // iterations, by the function of one
  Lets lets_;
  std::vector<const For*> loops_;
  std::string task_;  // the iteration that the function is for, if it is a parallel loop's body
  int tasks_ = 0;     // of that loop; 0: not known
  bool inserted_next_ = false;
};

}  // namespace

std::optional<Halide::Module> with_prefetches(const Halide::Module& module,
                                              const Prefetched& prefetched) {
  FindsParallelLoops parallel;
  for (const LoweredFunc& function : module.functions()) function.body.accept(&parallel);
  InsertsPrefetches inserts(prefetched, parallel.extents);
  Halide::Module result(module.name(), module.target());
  for (LoweredFunc function : module.functions()) {
    function.body = inserts.body_of(function);
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
