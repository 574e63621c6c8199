// Whether a network is trained: told from its loss on the data against chance, or as the user says.
#pragma once

#include "explore/problem.h"
#include "legality/zero_shot.h"

namespace emulsion {

struct Trained {
  bool yes = false;
  std::string sentence;  // how that is known
};

// Makes the judge of whole networks' losses when it is needed to tell.
Result<Trained> is_trained(const Problem& problem, ConvEngine<float>& engine, int workers,
                           std::optional<ZeroShotJudge>& zero_shot);

Result<ZeroShotJudge> zero_shot_judge(const Problem& problem, ConvEngine<float>& engine,
                                      int workers);

}  // namespace emulsion
