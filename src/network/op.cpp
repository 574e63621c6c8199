#include "network/op.h"

namespace emulsion {
namespace {

// Calls visit(constant) for every constant of an op, in the order in which text forms print them. One list
// for const and mutable ops.
template <class F, class A>
void visit_activation(A& activation, F&& visit) {
  if (activation) visit(activation->slope);
}

template <class F, class O>
void visit_constants(O& op, F&& visit) {
  std::visit(overloaded{
                 [&](auto& o)
                   requires requires { o.prologue; }
                 {
                   visit(o.weight);
                   visit(o.bias);
                   visit(o.prologue.scale);
                   visit(o.prologue.shift);
                   visit_activation(o.prologue.activation, visit);
                   visit_activation(o.epilogue.activation, visit);
                 },
                 [&](auto& o)
                   requires(requires { o.weight; } && !requires { o.prologue; })
                 {
                   visit(o.weight);
                   visit(o.bias);
                   visit_activation(o.activation, visit);
                 },
                 [&](auto& o)
                   requires requires { o.mean; }
                 {
                   visit(o.scale);
                   visit(o.shift);
                   visit(o.mean);
                   visit(o.variance);
                 },
                 [&](auto& o)
                   requires(requires { o.scale; } && !requires { o.mean; })
                 {
                   visit(o.scale);
                   visit(o.shift);
                   visit_activation(o.activation, visit);
                 },
                 [](auto&) {},
             },
             op);
}

}  // namespace
}  // namespace emulsion
