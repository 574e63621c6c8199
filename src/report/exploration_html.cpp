// report.html: a scatter plot (SVG) and tables, in one file without scripts or links.
#include <algorithm>
#include <cmath>

#include "report/exploration_report.h"

namespace emulsion {
namespace {

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

constexpr const char* k_style = R"(
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .25rem .7rem; text-align: right }
th { border-bottom: 1px solid #888 } td:last-child, th:last-child { text-align: left }
.legal { fill: #2a7 } .rejected { fill: #c44 } .open { fill: #bbb } .plan { fill: none; stroke: #222; stroke-width: 1.5 }
.front { fill: none; stroke: #2a7; stroke-width: 1 } .axis { stroke: #888 } svg text { font-size: 12px; fill: #444 }
.note { color: #845 }
)";

constexpr double k_width = 860, k_height = 420, k_left = 60, k_right = 20, k_top = 15,
                 k_bottom = 45;

// Plot coordinates: predicted speed-up across, share of the multiplies kept upwards.
class Plot {
 public:
  explicit Plot(const ExplorationReport& report) : report_(report) {
    for (const ConfigurationReport& c : report.configurations) {
      if (std::isfinite(c.predicted_ms)) largest_ = std::max(largest_, speedup_of(c));
    }
    largest_ = std::ceil(largest_ * 2) / 2;
  }

  std::string svg() const {
    std::string text = fmt::format(
        "<svg viewBox=\"0 0 {0} {1}\" width=\"100%\" role=\"img\" "
        "aria-label=\"configurations by predicted speed-up and multiplies kept\">\n",
        k_width, k_height);
    text += axes();
    std::string line;
    for (const ConfigurationReport& c : report_.configurations) {
      if (!std::isfinite(c.predicted_ms)) continue;
      const char* kind = !c.verdict ? "open" : c.verdict->legal ? "legal" : "rejected";
      text += fmt::format(
          "<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"><title>configuration {}: {}, "
          "{:.2f}x predicted</title></circle>\n",
          kind, x(speedup_of(c)), y(share_of(c)), c.front ? 4 : 3, c.index, verdict_name(c.verdict),
          speedup_of(c));
    }
    std::vector<const ConfigurationReport*> front;
    for (const ConfigurationReport& c : report_.configurations) {
      if (c.front) front.push_back(&c);
    }
    std::sort(front.begin(), front.end(),
              [&](const auto* a, const auto* b) { return a->predicted_ms > b->predicted_ms; });
    for (const auto* c : front)
      line += fmt::format("{:.1f},{:.1f} ", x(speedup_of(*c)), y(share_of(*c)));
    text += fmt::format("<polyline class=\"front\" points=\"{}\"/>\n", line);
    for (const PlanReport& plan : report_.plans) {
      const double share =
          static_cast<double>(plan.multiplies) / static_cast<double>(report_.multiplies);
      text += fmt::format("<circle class=\"plan\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"7\"/>\n",
                          x(report_.predicted_ms / plan.predicted_ms), y(share));
    }
    return text + "</svg>\n";
  }

 private:
  double speedup_of(const ConfigurationReport& c) const {
    return report_.predicted_ms / c.predicted_ms;
  }
  double share_of(const ConfigurationReport& c) const {
    return static_cast<double>(c.multiplies) / static_cast<double>(report_.multiplies);
  }
  double x(double speedup) const {
    return k_left + (speedup - 1) / (largest_ - 1) * (k_width - k_left - k_right);
  }
  double y(double share) const { return k_top + (1 - share) * (k_height - k_top - k_bottom); }

  std::string axes() const {
    std::string text = fmt::format("<path class=\"axis\" fill=\"none\" d=\"M{0} {1}V{2}H{3}\"/>\n",
                                   k_left, k_top, k_height - k_bottom, k_width - k_right);
    const double step = largest_ > 6 ? 2 : largest_ > 3 ? 1 : 0.5;
    for (double s = 1; s <= largest_ + 1e-9; s += step) {
      text += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}x</text>\n", x(s),
                          k_height - k_bottom + 18, s);
    }
    for (int percent = 0; percent <= 100; percent += 25) {
      text += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}%</text>\n",
                          k_left - 6, y(percent / 100.0) + 4, percent);
    }
    text +=
        fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">predicted speed-up</text>\n",
                    (k_left + k_width) / 2, k_height - 8);
    return text +
           fmt::format("<text x=\"{}\" y=\"{}\">multiplies kept</text>\n", k_left + 8, k_top + 10);
  }

  const ExplorationReport& report_;
  double largest_ = 1.5;
};

std::string plans_table(const ExplorationReport& report) {
  std::string text =
      "<table><tr><th>wanted</th><th>measured</th><th>predicted</th><th>time, original's (ms)</th>"
      "<th>multiplies kept</th><th>slots rewritten</th><th>log ratio of scores</th>"
      "<th>could flip</th><th>plan</th></tr>\n";
  for (const PlanReport& plan : report.plans) {
    text += fmt::format(
        "<tr><td>{}x</td><td>{}</td><td>{:.2f}x</td><td>{}</td><td>{:.0f}%</td><td>{} of {}</td>"
        "<td>{:+.3f} &plusmn; {:.3f}</td><td>{:.0f}%</td><td>{}</td></tr>\n",
        plan.wanted, plan.time ? fmt::format("{:.2f}x", speedup(report, plan)) : "-",
        report.predicted_ms / plan.predicted_ms,
        plan.time ? fmt::format("{:.3f}, {:.3f}", plan.time->min_ms, plan.time->original_min_ms)
                  : "-",
        100.0 * static_cast<double>(plan.multiplies) / static_cast<double>(report.multiplies),
        plan.rewritten, report.slots, plan.verdict.log_ratio, plan.verdict.standard_error,
        100 * plan.verdict.flip_probability, escaped(plan.file));
  }
  return text + "</table>\n";
}

}  // namespace

std::string to_html(const ExplorationReport& report) {
  std::string text = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}: faster "
      "architectures</title><style>{1}</style></head><body>\n<h1>{0}: faster architectures</h1>\n",
      escaped(report.model), k_style);
  size_t judged = 0, rejected = 0;
  for (const ConfigurationReport& c : report.configurations) {
    judged += c.verdict.has_value();
    rejected += c.verdict && !c.verdict->legal;
  }
  text += fmt::format(
      "<p>{} random configurations of {} slots; {} judged by the rule <b>{}</b> on {} images, {} "
      "rejected. Target {}, {} thread{}, seed {}.</p>\n",
      report.configurations.size(), report.slots, judged, legality_name(report.rule), report.images,
      rejected, escaped(report.target), report.threads, report.threads == 1 ? "" : "s",
      report.seed);
  for (const std::string& note : report.notes) {
    text += fmt::format("<p class=\"note\">{}</p>\n", escaped(note));
  }
  text += plans_table(report);
  text += Plot(report).svg();
  text +=
      "<p>Green: legal. Red: rejected. Grey: not judged, because a configuration that is as fast "
      "and keeps as many multiplies is legal. Circled: the plans. The line is the Pareto front of "
      "the legal ones.</p>\n</body></html>\n";
  return text;
}

}  // namespace emulsion
