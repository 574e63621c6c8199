// Vector loads that jump about within a few neighbouring elements, which Halide would load lane by
// lane, become loads of whole vectors and shuffles.
#pragma once

#include <Halide.h>

#include <string>

#include "lower/lets.h"

namespace emulsion {

// Replaces such loads from a buffer that consists of whole blocks of so many elements, each
// starting at a multiple of that from the buffer's first element. Loads whose lanes cannot be told
// to lie in one block stay as they are. For Pipeline::add_custom_lowering_pass, which takes
// ownership.
class ShufflesBlocks : public Halide::Internal::IRMutator {
 public:
  ShufflesBlocks(std::string buffer, int block) : buffer_(std::move(buffer)), block_(block) {}

 private:
  using IRMutator::visit;
  Halide::Internal::Stmt visit(const Halide::Internal::LetStmt* op) override;
  Halide::Expr visit(const Halide::Internal::Let* op) override;
  Halide::Expr visit(const Halide::Internal::Load* op) override;

  std::string buffer_;
  int block_;
  Lets lets_;
};

}  // namespace emulsion
