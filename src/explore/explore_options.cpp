#include "explore/explore_options.h"

namespace emulsion {

const char* legality_name(Legality legality) {
  switch (legality) {
    case Legality::inherit:
      return "inherit";
    case Legality::fisher:
      return "fisher";
    case Legality::paper:
      return "paper";
    case Legality::none:
      return "none";
  }
  return "?";
}

Result<Legality> parse_explore_legality(const std::string& name) {
  for (const Legality legality :
       {Legality::inherit, Legality::fisher, Legality::paper, Legality::none}) {
    if (name == legality_name(legality)) return legality;
  }
  return error("unknown legality rule '{}': take inherit, fisher, paper or none", name);
}

}  // namespace emulsion
