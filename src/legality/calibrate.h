// From the accuracies that a few rewritten networks reached after a real fine-tune: the inherit
// score up to which a network may be expected to stay within a tolerance of the original. It holds
// for the network that was fine-tuned, no other.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace emulsion {

// A file of fine-tunes, docs/formats.md.
struct FineTune {
  std::string plan;     // path as the file gives it: relative to the file
  double accuracy = 0;  // reached, 0 to 1
};
struct FineTunes {
  double original_accuracy = 0;
  double tolerance = 0.01;  // of accuracy: how much less is acceptable
  std::vector<FineTune> runs;
};
Result<FineTunes> parse_fine_tunes(const std::string& json, const std::string& file_name);

struct ScoredFineTune {
  double score = 0;     // inherit
  double accuracy = 0;  // reached
};

struct Calibration {
  double threshold = 0;  // scores up to it are expected to be within the tolerance
  // What it becomes when one fine-tune is left out: the least and the most.
  double low = 0, high = 0;
  int acceptable = 0;                 // fine-tunes within the tolerance
  int wrong = 0;                      // fine-tunes on the wrong side of the threshold
  double rank_correlation = 0;        // Spearman's, of score and lost accuracy: 1 is best
  std::vector<std::string> warnings;  // why to trust it less
};

// Three fine-tunes at least. The threshold puts as few of them as it can on the wrong side (of
// equal choices the smallest), halfway between the scores on its two sides; it never goes beyond
// the largest score that was tried.
Result<Calibration> calibrate(const std::vector<ScoredFineTune>& runs, double original_accuracy,
                              double tolerance);

}  // namespace emulsion
