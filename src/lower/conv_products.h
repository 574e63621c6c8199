// What convs have in common that are computed as matrix products of transformed inputs (Winograd's,
// Strassen's): the Funcs between the input and the output, and how a schedule of the products' nest
// becomes directives for all of them.
//
//   V[place][tile][ci]  a sum of a tile's inputs
//   M[place][tile][co] = sum_ci U[place][ci][co] V[place][tile][ci]
//   the tile's outputs  sums of M, then bias, residual, activation
#pragma once

#include <Halide.h>

#include <vector>

#include "lower/algorithm_row.h"
#include "lower/conv_funcs.h"
#include "lower/conv_parameters.h"
#include "lower/conv_templates.h"
#include "lower/conv_view.h"
#include "lower/lower.h"
#include "lower/machine.h"
#include "lower/products_schedule.h"

namespace emulsion {

// The Funcs' arguments are channel, group where there are several, tile, image, then others: i and
// j where rows and columns of a tile are transformed one after the other, or the place.
struct ProductsVars {
  Halide::Var c{"c"}, g{"g"}, x{"x"}, y{"y"}, n{"n"}, tile{"t"}, place{"p"}, i{"i"}, j{"j"};
  // Of outputs whose channels' parts are made of the same products.
  Halide::Var part{"part"};
};

struct ProductsFuncs {
  Halide::Func taps;         // a tile's inputs, where they are needed by themselves (i, j)
  Halide::Func input_rows;   // half transformed (i, j); may be undefined
  Halide::Func input;        // V
  ConvFuncs sums;            // conv: the sums of a register tile, out: M
  Halide::Func output_rows;  // half transformed (i, j); may be undefined
  Halide::Func out;          // (c, part if there are several, g if there are several, x, y, n)
  std::vector<Halide::Argument> arguments;
};

// Defines and reads those Funcs.
class ProductsBuilder {
 public:
  explicit ProductsBuilder(bool grouped) : grouped_(grouped) {}
  // others: variables, in order.
  void define(Halide::Func& f, const std::vector<Halide::Var>& others,
              const Halide::Expr& value) const;
  Halide::Expr at(const Halide::Func& f, const Halide::Expr& c, const Halide::Expr& tile,
                  const std::vector<Halide::Expr>& others) const;
  // Products of the transformed input and the packed weights.
  void multiply(ProductsFuncs& funcs, const ProductsSchedule& s,
                const Halide::ImageParam& weight) const;
  Halide::Expr group() const { return grouped_ ? Halide::Expr(vars.g) : Halide::Expr(0); }

  const ProductsVars vars;

 private:
  std::vector<Halide::Expr> arguments(const Halide::Expr& c, const Halide::Expr& tile,
                                      const std::vector<Halide::Expr>& others) const;
  bool grouped_;
};

// What a tile covers of the output.
struct OutputTile {
  int rows = 1, columns = 1;
  bool parts = false;  // of channels
};
void schedule_products(ProductsFuncs& funcs, const ProductsSchedule& s, const OutputTile& tile,
                       const Halide::Target& target);

// Some products pay on Zen 4, while on cores with two wide multiply-adds a cycle they take 0.9
// to 1.4 times as long as the best of the others, and the model cannot tell which (measured on
// Emerald Rapids). There they count so much more, so that only the clearest are chosen. A search
// goes by its own measurements.
constexpr double k_elsewhere = 1.25;

// The row's functions for an algorithm whose layers have
//   applies(spec, reason), nest(spec), shape(spec), pack(conv, schedule),
//   lower(spec, schedule),
//   pays_on_zen4_alone(spec): whether it is one of those
template <class Products>
struct ProductsConv {
  static Result<ProductsSchedule> schedule_of(const KernelSpec& spec) {
    return products_schedule(Products::nest(spec), Products::shape(spec), spec.schedule);
  }

  static bool applies(const KernelSpec& spec, std::string* reason) {
    if (!takes_conv(spec, reason) || !Products::applies(spec, reason)) return false;
    const int64_t bytes = scratch_of_a_row(Products::shape(spec), machine_of(spec.target).vector);
    if (bytes <= k_most_products_scratch) return true;
    *reason = fmt::format("one row of tiles needs {} bytes of scratch ({} at most)", bytes,
                          k_most_products_scratch);
    return false;
  }

  static std::vector<CostedSchedule> costed(const KernelSpec& spec) {
    const Machine machine = machine_of(spec.target, spec.weights);
    std::vector<CostedSchedule> schedules =
        products_schedules(Products::nest(spec), Products::shape(spec),
                           !std::get<Conv>(spec.op).prologue.empty(), machine, spec.threads);
    if (!machine.core.zen4 && Products::pays_on_zen4_alone(spec))
      for (CostedSchedule& schedule : schedules) schedule.cycles *= k_elsewhere;
    return schedules;
  }
  static std::vector<std::string> schedules(const KernelSpec& spec) {
    return steps_of(costed(spec));
  }
  static CostedSchedule best_guess(const KernelSpec& spec) { return costed(spec).front(); }

  static std::vector<PackedConstant> pack(const KernelSpec& spec, const Op& op) {
    const Result<ProductsSchedule> schedule = schedule_of(spec);
    EMULSION_CHECK(schedule.ok());  // completed specs only
    return Products::pack(std::get<Conv>(op), *schedule);
  }

  static Status check_schedule(const KernelSpec& spec) {
    TRY_OK(schedule_of(spec));
    return ok();
  }

  // Tiles that hang over the image's end are guarded.
  static bool writes_once(const KernelSpec&) { return true; }

  static Result<LoweredKernel> lower(const KernelSpec& spec) {
    TRY(const ProductsSchedule schedule, schedule_of(spec));
    return Products::lower(spec, schedule);
  }

  static AlgorithmRow row(const char* name, const char* sentence, double error_bound,
                          double half_error) {
    return {{name, sentence, applies, best_guess, schedules, pack, error_bound, half_error},
            lower,
            check_schedule,
            writes_once};
  }
};

}  // namespace emulsion
