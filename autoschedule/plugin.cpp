// Emulsion::Joint, an autoscheduler for Halide's generators: it finds the convs of a pipeline and
// schedules each with the function and the template that the program uses for its own layers. Other
// Funcs get a plain schedule; those that already have one, and extern ones, are left alone.
//
// Parameters: schedule (steps as in a plan, with ',' for ';', for every conv found) and algorithm
// (direct, pointwise or depthwise: what every conv found must be).
#include <Halide.h>

#include <algorithm>
#include <optional>
#include <set>

#include "autoschedule/recognise.h"
#include "base/divide.h"
#include "lower/conv_funcs.h"
#include "lower/conv_templates.h"
#include "lower/lower.h"

namespace emulsion {

namespace {

using Halide::AutoschedulerParams;
using Halide::AutoSchedulerResults;
using Halide::Expr;
using Halide::Func;
using Halide::Pipeline;
using Halide::Target;
using Halide::Var;
using Halide::Internal::Box;
using Halide::Internal::Call;
using Halide::Internal::Definition;
using Halide::Internal::Function;

struct JointParameters {
  std::string schedule, algorithm;
};

Result<JointParameters> parse(const AutoschedulerParams& params) {
  JointParameters result;
  for (const auto& [key, value] : params.extra) {
    if (key == "schedule") {
      result.schedule = value;
      std::replace(result.schedule.begin(), result.schedule.end(), ',', ';');
    } else if (key == "algorithm") {
      if (value != "direct" && value != "pointwise" && value != "depthwise")
        return error("algorithm is '{}'; it can be direct, pointwise or depthwise", value);
      result.algorithm = value;
    } else {
      return error("there is no parameter '{}'; there are schedule and algorithm", key);
    }
  }
  return result;
}

std::optional<int64_t> constant(const Expr& e) {
  if (!e.defined()) return std::nullopt;
  const auto value = Halide::Internal::as_const_int(Halide::Internal::simplify(e));
  if (!value) return std::nullopt;
  return *value;
}

// The pipeline's Funcs, the regions of them that are computed, and who reads whom.
class Funcs {
 public:
  explicit Funcs(const Pipeline& pipeline) {
    std::vector<Function> outputs;
    for (const Func& output : pipeline.outputs()) {
      outputs.push_back(output.function());
      output_names_.push_back(output.name());
      for (const auto& [name, function] : find_transitive_calls(output.function()))
        env_.emplace(name, function);
    }
    order_ = topological_order(outputs, env_);
    for (const auto& [name, function] : env_)
      for (const auto& [producer, unused] : find_direct_calls(function))
        if (producer != name) consumers_[producer].push_back(name);
    for (auto name = order_.rbegin(); name != order_.rend(); ++name) add_regions(env_.at(*name));
  }

  const std::vector<std::string>& producers_first() const { return order_; }
  Function at(const std::string& name) const { return env_.at(name); }
  bool is_output(const std::string& name) const {
    return std::find(output_names_.begin(), output_names_.end(), name) != output_names_.end();
  }
  const std::vector<std::string>& consumers(const std::string& name) { return consumers_[name]; }

  // Empty when they are unknown.
  std::vector<int64_t> extents(const Function& f) const {
    const auto region = regions_.find(f.name());
    if (region == regions_.end()) return {};
    std::vector<int64_t> result;
    for (const auto& interval : region->second.bounds) {
      if (!interval.is_bounded()) return {};
      const std::optional<int64_t> extent = constant(interval.max - interval.min + 1);
      if (!extent) return {};
      result.push_back(*extent);
    }
    return result;
  }

 private:
  // What is stated of an output: bounds, its buffer's constraints, or estimates.
  static Box stated_region(const Function& f) {
    Box box;
    for (size_t i = 0; i < f.args().size(); ++i) {
      Expr min, extent;
      const auto take = [&](const std::vector<Halide::Internal::Bound>& bounds) {
        for (const auto& bound : bounds)
          if (bound.var == f.args()[i] && bound.min.defined() && bound.extent.defined()) {
            min = bound.min;
            extent = bound.extent;
          }
      };
      take(f.schedule().estimates());
      if (!f.output_buffers().empty()) {
        const auto& buffer = f.output_buffers()[0];
        const int dimension = static_cast<int>(i);
        if (buffer.min_constraint(dimension).defined() &&
            buffer.extent_constraint(dimension).defined()) {
          min = buffer.min_constraint(dimension);
          extent = buffer.extent_constraint(dimension);
        }
      }
      take(f.schedule().bounds());
      if (min.defined())
        box.push_back({min, Halide::Internal::simplify(min + extent - 1)});
      else
        box.push_back(Halide::Internal::Interval::everything());
    }
    return box;
  }

  // Consumers come first: their regions give those of the Funcs they read.
  void add_regions(const Function& f) {
    using Halide::Internal::Interval;
    if (is_output(f.name())) merge(f.name(), stated_region(f));
    const auto region = regions_.find(f.name());
    if (region == regions_.end() || f.has_extern_definition()) return;
    std::vector<Definition> definitions = {f.definition()};
    definitions.insert(definitions.end(), f.updates().begin(), f.updates().end());
    for (const Definition& definition : definitions) {
      Halide::Internal::Scope<Interval> scope;
      for (size_t i = 0; i < f.args().size(); ++i)
        scope.push(f.args()[i], region->second.bounds[i]);
      for (const auto& r : definition.schedule().rvars())
        scope.push(r.var, Interval(r.min, Halide::Internal::simplify(r.min + r.extent - 1)));
      for (const Expr& value : definition.values())
        for (const auto& [name, box] : boxes_required(value, scope))
          if (name != f.name()) merge(name, box);
    }
  }

  void merge(const std::string& name, const Box& box) {
    const auto [region, fresh] = regions_.emplace(name, box);
    if (!fresh) merge_boxes(region->second, box);
  }

  std::map<std::string, Function> env_;
  std::vector<std::string> order_, output_names_;
  std::map<std::string, std::vector<std::string>> consumers_;
  std::map<std::string, Box> regions_;
};

bool has_schedule(const Function& f) {
  Halide::LoopLevel level = f.schedule().compute_level();
  level.lock();  // it may be inspected only then
  if (f.has_extern_definition() || !level.is_inlined()) return true;
  const auto touched = [](const Definition& d) { return d.schedule().touched(); };
  return touched(f.definition()) || std::any_of(f.updates().begin(), f.updates().end(), touched);
}

// The Func through which a pipeline's images are read.
bool reads_an_image(const Function& f) {
  if (!f.has_pure_definition() || f.has_update_definition() || f.values().size() != 1) return false;
  const auto* call = f.values()[0].as<Call>();
  return call && call->call_type == Call::Image;
}

// Whether every call of `producer` in a pure Func is at the Func's own variables, in order.
class CallsAtOwnPlace : public Halide::Internal::IRVisitor {
 public:
  CallsAtOwnPlace(const Function& consumer, const std::string& producer)
      : consumer_(consumer), producer_(producer) {}
  bool holds = true;

 private:
  using IRVisitor::visit;
  void visit(const Call* op) override {
    if (op->name == producer_) {
      holds &= op->args.size() == consumer_.args().size();
      for (size_t i = 0; holds && i < op->args.size(); ++i) {
        const auto* variable = op->args[i].as<Halide::Internal::Variable>();
        holds = variable && variable->name == consumer_.args()[i];
      }
    }
    IRVisitor::visit(op);
  }
  const Function& consumer_;
  const std::string& producer_;
};

bool reads_at_own_place(const Function& consumer, const std::string& producer) {
  if (!consumer.has_pure_definition() || consumer.has_update_definition()) return false;
  CallsAtOwnPlace check(consumer, producer);
  for (const Expr& value : consumer.values()) value.accept(&check);
  return check.holds;
}

class Joint {
 public:
  Joint(const Pipeline& pipeline, const Target& target, const JointParameters& parameters)
      : funcs_(pipeline), target_(target), parameters_(parameters) {}

  // The schedule it made, as comments for people.
  Result<std::string> operator()() {
    TRY(const std::string name, resolve_target(target_.to_string()));
    machine_ = machine_of(name);
    for (const std::string& f : funcs_.producers_first()) {
      if (!has_schedule(funcs_.at(f)) && funcs_.at(f).has_update_definition())
        TRY_OK(schedule_if_conv(f));
    }
    for (const std::string& f : funcs_.producers_first())
      if (!scheduled_.contains(f) && !has_schedule(funcs_.at(f))) schedule_plainly(f);
    return report_;
  }

 private:
  template <class... Args>
  void report(fmt::format_string<Args...> format, Args&&... args) {
    report_ += "// " + fmt::format(format, std::forward<Args>(args)...) + "\n";
  }

  Status schedule_if_conv(const std::string& name) {
    const Function f = funcs_.at(name);
    const Result<RecognisedConv> conv = recognise_conv(f, funcs_.extents(f));
    if (!conv.ok()) {
      report("{}: no conv: {}", name, conv.error().message);
      return ok();
    }
    if (funcs_.is_output(name)) {
      report("{}: a conv, but an output has no Func after it to store its tiles", name);
      return ok();
    }
    Result<ConvSchedule> schedule = choose(*conv);
    if (!schedule.ok()) {
      if (!parameters_.schedule.empty() || !parameters_.algorithm.empty())
        return schedule.error().in(name);
      report("{}: a conv, but {}", name, schedule.error().message);
      return ok();
    }
    ConvFuncs funcs;
    funcs.conv = Func(f);
    funcs.conv_vars = conv->vars;
    funcs.reduction_vars = conv->reduction_vars;
    funcs.channels_padded = rules(*conv).channels_padded;
    const std::vector<std::string>& consumers = funcs_.consumers(name);
    if (consumers.size() == 1 && reads_at_own_place(funcs_.at(consumers[0]), name) &&
        !has_schedule(funcs_.at(consumers[0])) && !scheduled_.contains(consumers[0])) {
      funcs.out = Func(funcs_.at(consumers[0]));
      scheduled_.insert(consumers[0]);
      if (!funcs_.is_output(consumers[0])) funcs.out.compute_root();
    } else {
      funcs.out = funcs.conv.in();  // all consumers read the stored tiles
      funcs.out.compute_root();
    }
    const std::vector<Var> args = funcs.conv.args(), out_args = funcs.out.args();
    for (const auto& [iterator, var] : conv->vars)
      for (size_t i = 0; i < args.size(); ++i)
        if (args[i].name() == var.name()) funcs.out_vars.emplace(iterator, out_args[i]);
    schedule_conv(funcs, *schedule, target_);
    scheduled_.insert(name);
    report("{}: {}, {}", name, algorithm(*conv), chosen_);
    return ok();
  }

  static const char* algorithm(const RecognisedConv& conv) {
    if (conv.depthwise) return "depthwise";
    const Nest& nest = conv.nest;
    const bool pointwise = nest.kx == 1 && nest.ky == 1 && nest.stride == Extent2{1, 1} &&
                           nest.pad == Pad4{0, 0, 0, 0};
    return pointwise ? "pointwise" : "direct";
  }

  static ScheduleRules rules(const RecognisedConv& conv) {
    if (conv.depthwise) return {"g", false};
    return {"co", conv.channel_block != 0};
  }

  // A tile must not read beyond the weights' last block.
  static Status check_blocks(const RecognisedConv& conv, const ConvSchedule& schedule) {
    if (conv.channel_block == 0) return ok();
    const auto whole = [&](int64_t tile) { return round_up(conv.nest.co, tile); };
    const int64_t tile = schedule.tile("co");
    if (whole(tile) <= whole(conv.channel_block)) return ok();
    return error("tiles of {} channels do not fit weights in blocks of {}", tile,
                 conv.channel_block);
  }

  // The parameter's schedule, or the first of the program's that the Func's weights allow.
  Result<ConvSchedule> choose(const RecognisedConv& conv) {
    const std::string& wanted = parameters_.algorithm;
    // A pointwise conv is a direct one, too.
    if (!wanted.empty() && wanted != algorithm(conv) && (wanted != "direct" || conv.depthwise))
      return error("algorithm {} does not compute this {} conv", wanted, algorithm(conv));
    std::vector<std::string> candidates = {parameters_.schedule};
    if (parameters_.schedule.empty())
      candidates = conv.depthwise ? steps_of(depthwise_schedules(conv.nest, machine_, 1))
                                  : steps_of(conv_schedules(conv.nest, machine_, 1));
    std::optional<Error> why;
    for (const std::string& steps : candidates) {
      Result<ConvSchedule> schedule = conv_schedule(conv.nest, steps, rules(conv));
      const Status fits = schedule.ok() ? check_blocks(conv, *schedule) : schedule.error();
      if (fits.ok()) {
        chosen_ = steps;
        return schedule;
      }
      if (!why) why = fits.error().in(fmt::format("schedule '{}'", steps));
    }
    return *why;
  }

  // Outputs, reductions, and what reductions read is computed once, in vectors, its outermost
  // dimension parallel; the rest is computed where it is used.
  void schedule_plainly(const std::string& name) {
    const Function f = funcs_.at(name);
    const bool reduced_over = std::any_of(
        funcs_.consumers(name).begin(), funcs_.consumers(name).end(),
        [&](const std::string& consumer) { return funcs_.at(consumer).has_update_definition(); });
    if (reads_an_image(f) ||
        (!funcs_.is_output(name) && !f.has_update_definition() && !reduced_over))
      return;
    Func func(f);
    if (!funcs_.is_output(name)) func.compute_root();
    const std::vector<Var> args = func.args();
    if (args.empty()) return;
    const std::vector<int64_t> extents = funcs_.extents(f);
    arrange(func, args, extents, Halide::TailStrategy::Auto);
    for (int i = 0; i < func.num_update_definitions(); ++i) {
      // Only variables that the update writes at as they are can be taken out of order.
      std::vector<Var> own;
      std::vector<int64_t> own_extents;
      for (size_t k = 0; k < args.size(); ++k) {
        const auto* variable = f.update(i).args()[k].as<Halide::Internal::Variable>();
        if (!variable || variable->name != args[k].name()) continue;
        own.push_back(args[k]);
        if (!extents.empty()) own_extents.push_back(extents[k]);
      }
      if (own.empty())
        func.update(i).unscheduled();
      else
        arrange(func.update(i), own, own_extents, Halide::TailStrategy::GuardWithIf);
    }
    report("{}: no conv, vectorized and parallel", name);
  }

  void arrange(Halide::Stage stage, const std::vector<Var>& args,
               const std::vector<int64_t>& extents, Halide::TailStrategy tail) const {
    int lanes = machine_.vector;
    while (!extents.empty() && lanes > extents[0]) lanes /= 2;
    stage.vectorize(args[0], lanes, tail);
    if (args.size() > 1 && (extents.empty() || extents.back() > 1)) stage.parallel(args.back());
  }

  Funcs funcs_;
  Target target_;
  JointParameters parameters_;
  Machine machine_;
  std::set<std::string> scheduled_;
  std::string chosen_;  // the steps of the last choice
  std::string report_;
};

void autoschedule(const Pipeline& pipeline, const Target& target, const AutoschedulerParams& params,
                  AutoSchedulerResults* results) {
  const auto refuse = [](const Error& e) -> void {
    throw Halide::CompileError(fmt::format("autoscheduler Joint: {}\n", e.message));
  };
  const Result<JointParameters> parameters = parse(params);
  if (!parameters.ok()) return refuse(parameters.error());
  const Result<std::string> source = Joint(pipeline, target, *parameters)();
  if (!source.ok()) return refuse(source.error());
  results->target = target;
  results->autoscheduler_params = params;
  results->schedule_source = *source;
}

// Loading the library registers the autoscheduler.
const bool registered = [] {
  Pipeline::add_autoscheduler("Joint", autoschedule);
  return true;
}();

}  // namespace

}  // namespace emulsion
