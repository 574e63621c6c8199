#include "report/exploration_report.h"

namespace emulsion {
std::string to_html(const nlohmann::ordered_json&) { return ""; }
}  // namespace emulsion
