// report.html: plots (SVG), tables and bars in one file, without scripts or links.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "report/exploration_report.h"
#include "report/html_style.h"
#include "report/plot.h"

namespace emulsion {
namespace {

using Json = nlohmann::ordered_json;

// A number, or nothing where there is none.
std::optional<double> number(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

std::string text(const Json& json, const char* key) {
  return escaped(json.at(key).get<std::string>());
}

std::string plan_name(const Json& plan) {
  const auto wanted = number(plan, "wanted_speedup");
  if (!wanted) return "fastest";
  return *wanted == 1 ? "same function" : fmt::format("{:g}x", *wanted);
}

double speedup(const Json& plan) {
  return plan.at("measured").at("speedup").get<double>();
}

std::string percent(double part) {
  return part > 0 && part < 0.1 ? fmt::format("{:.1f}%", 100 * part)
                                : fmt::format("{:.0f}%", 100 * part);
}

class Page {
 public:
  explicit Page(const Json& pareto)
      : pareto_(pareto),
        original_(pareto.at("original")),
        inherit_(pareto.at("legality").at("loss") == "inherit"),
        multiplies_(original_.at("multiplies").get<double>()),
        original_ms_(original_.at("predicted_ms").get<double>()) {}

  std::string html() const {
    const std::string title = text(pareto_, "model") + ": faster architectures";
    return fmt::format(
               "<!DOCTYPE html>\n<html lang=\"en\"><head><meta "
               "charset=\"utf-8\"/><title>{0}</title>"
               "<style>{1}</style></head>\n<body>\n<h1>{0}</h1>\n",
               title, k_report_style) +
           summary() + notes() + plots() + plans_table() + layers() + rejections() + commands() +
           "</body></html>\n";
  }

 private:
  // Time of a measured plan on the axis of predicted times.
  double ms_of(const Json& plan) const { return original_ms_ / speedup(plan); }
  double kept(const Json& entry) const {
    return 100 * entry.at("multiplies").get<double>() / std::max(1.0, multiplies_);
  }

  std::string card(const std::string& value, const std::string& what) const {
    return fmt::format("<div class=\"card\"><b>{}</b><span>{}</span></div>\n", value, what);
  }

  std::string summary() const {
    double fastest = 1;
    size_t rejected = 0;
    std::string strategies;
    for (const Json& plan : pareto_.at("plans")) fastest = std::max(fastest, speedup(plan));
    for (const Json& search : pareto_.at("searches")) {
      rejected += search.at("rejections").size();
      strategies += (strategies.empty() ? "" : ", ") + text(search, "strategy");
    }
    return "<div class=\"cards\">\n" +
           card(fmt::format("{:.2f} ms", original_.at("same_function_ms").get<double>()),
                fmt::format("the same function at its best ({:.2f} ms by default)",
                            original_.at("default_ms").get<double>())) +
           card(fmt::format("{:.2f}x", fastest), "fastest plan, measured") +
           card(fmt::format("{}", original_.at("slots").get<int>()),
                "convolutions that may be rewritten") +
           card(fmt::format("{}", rejected), "networks judged and rejected") +
           fmt::format(
               "</div>\n<p class=\"facts\">Strategy {}. Legality {}, on {} images ({}; labels: "
               "{}). "
               "Target {}, {} thread{}.</p>\n",
               strategies, text(pareto_.at("legality"), "rule"),
               pareto_.at("legality").at("images").get<int>(),
               text(pareto_.at("legality"), "images_from"),
               text(pareto_.at("legality"), "labels_from"), text(pareto_, "target"),
               pareto_.at("threads").get<int>(), pareto_.at("threads") == 1 ? "" : "s");
  }

  std::string notes() const {
    std::string result;
    for (const Json& note : pareto_.at("notes")) {
      result += fmt::format("<li>{}</li>\n", escaped(note.get<std::string>()));
    }
    return result.empty() ? "" : "<ul class=\"notes\">\n" + result + "</ul>\n";
  }

  // One search's points and the plans measured: loss or multiplies against time.
  void draw(Plot& plot, bool loss) const {
    const auto y_of = [&](const Json& entry) -> std::optional<double> {
      return loss ? number(entry, "loss") : std::optional(kept(entry));
    };
    for (const Json& search : pareto_.at("searches")) {
      const bool is_front = search.at("strategy") != "random";
      std::vector<std::pair<double, double>> line;
      for (const Json& point : search.at("points")) {
        const auto ms = number(point, "predicted_ms"), y = y_of(point);
        if (!ms || !y || *ms > most_ms() || *y > most_loss(loss)) continue;
        const bool judged = point.contains("legal");
        const char* kind = !judged                         ? (is_front ? "front" : "open")
                           : point.at("legal").get<bool>() ? "legal"
                                                           : "rejected";
        if (is_front) line.emplace_back(*ms, *y);
        if (is_front && !judged) continue;
        plot.dot(
            kind, *ms, *y, 2.5,
            fmt::format("{}: {:.2f} ms predicted", search.at("strategy").get<std::string>(), *ms));
      }
      if (is_front) plot.line("front-line", line);
    }
    for (const Json& plan : pareto_.at("plans")) {
      const auto y = y_of(plan);
      if (!y) continue;
      const std::string strategy = plan.at("strategy").get<std::string>();
      plot.marker(strategy == "random" ? "plan of-random" : "plan", ms_of(plan), *y,
                  fmt::format("{:.2f}x", speedup(plan)),
                  fmt::format("{} {}: {:.2f}x measured, {:.0f}% of the multiplies", strategy,
                              plan_name(plan), speedup(plan), kept(plan)));
    }
  }

  double most_ms() const {
    double most = original_ms_;
    for (const Json& plan : pareto_.at("plans")) most = std::max(most, ms_of(plan));
    return most * 1.03;
  }

  double most_loss(bool loss) const {
    if (!loss) return 104;
    double most = 0;
    for (const Json& plan : pareto_.at("plans")) {
      most = std::max(most, number(plan, "loss").value_or(0));
    }
    return most > 0 ? most * 1.12 : 1;
  }

  std::string plots() const {
    constexpr double k_width = 620, k_height = 400;
    const Axis time{"time, ms (plans: measured; the rest: predicted)", 0, std::max(1e-9, most_ms()),
                    ""};
    Plot work(k_width, k_height, time, {"multiplies kept", 0, most_loss(false), "%"});
    draw(work, false);
    std::string result = "<h2>Pareto front</h2>\n<div class=\"plots\">\n<figure>" +
                         work.svg("time against multiplies kept");
    if (inherit_) {
      Plot loss(k_width, k_height, time, {"predicted loss", 0, most_loss(true), ""});
      draw(loss, true);
      result += "</figure>\n<figure>" + loss.svg("time against predicted loss");
    }
    return result + "</figure>\n</div>\n<p class=\"legend\">" + legend() + "</p>\n";
  }

  std::string legend() const {
    std::string result =
        "<span><i class=\"ring\"></i>plan, measured as a whole network, with its speed-up</span>";
    std::set<std::string> strategies;
    for (const Json& search : pareto_.at("searches")) strategies.insert(search.at("strategy"));
    if (strategies.contains("random")) {
      result +=
          "<span><i class=\"ring violet\"></i>plan by random search</span>"
          "<span><i class=\"dot open\"></i>random configuration, not judged</span>";
    }
    if (strategies.size() > strategies.count("random")) {
      result += "<span><i class=\"stroke\"></i>predicted front</span>";
    }
    if (pareto_.at("legality").at("rule") != "none" && !inherit_) {
      result +=
          "<span><i class=\"dot legal\"></i>judged legal</span>"
          "<span><i class=\"dot rejected\"></i>rejected</span>";
    }
    return result;
  }

  std::string plans_table() const {
    std::string result =
        "<h2>Plans</h2>\n<div class=\"wide\"><table><thead><tr><th>wanted</th><th>speed-up</th>"
        "<th>predicted</th><th>time, ms</th><th>multiplies</th><th>parameters</th>"
        "<th>rewritten</th>";
    if (inherit_) result += "<th>predicted loss</th><th>zero-shot loss</th>";
    result +=
        "<th>Fisher, log ratio</th><th>could flip</th><th "
        "class=\"what\">plan</th></tr></thead>\n<tbody>\n";
    std::string strategy;
    const int columns = inherit_ ? 12 : 10;
    for (const Json& plan : pareto_.at("plans")) {
      if (plan.at("strategy") != strategy && pareto_.at("searches").size() > 1) {
        strategy = plan.at("strategy");
        result += fmt::format("<tr class=\"group\"><td colspan=\"{}\">{}</td></tr>\n", columns,
                              escaped(strategy));
      }
      result += plan_row(plan);
    }
    return result + "</tbody></table></div>\n";
  }

  std::string plan_row(const Json& plan) const {
    std::string row = fmt::format(
        "<tr><td>{}</td><td><b>{:.2f}x</b></td><td>{:.2f}x</td><td>{:.2f}</td>"
        "<td>{:.0f}M <small>{}</small></td><td>{:.2f}M <small>{}</small></td><td>{} of {}</td>",
        plan_name(plan), speedup(plan), plan.at("predicted_speedup").get<double>(), ms_of(plan),
        plan.at("multiplies").get<double>() / 1e6, percent(kept(plan) / 100),
        plan.at("parameters").get<double>() / 1e6,
        percent(plan.at("parameters").get<double>() /
                std::max(1.0, original_.at("parameters").get<double>())),
        plan.at("rewritten").get<int>(), original_.at("slots").get<int>());
    if (inherit_) {
      const Json none = Json::object();
      const Json& inherit = plan.contains("inherit") ? plan.at("inherit") : none;
      const auto score = number(inherit, "score");
      row += score ? fmt::format("<td>{:.3f} <small>&#177; {:.3f}</small></td>", *score,
                                 number(inherit, "standard_error").value_or(0))
                   : "<td>-</td>";
      const auto zero_shot = number(inherit, "zero_shot_loss");
      row += zero_shot ? fmt::format("<td>{:.3f}</td>", *zero_shot) : "<td>-</td>";
    }
    if (plan.contains("fisher")) {
      const Json& fisher = plan.at("fisher");
      row += fmt::format("<td class=\"{}\">{:+.3f} <small>&#177; {:.3f}</small></td><td>{}</td>",
                         fisher.at("legal").get<bool>() ? "good" : "bad",
                         fisher.at("log_ratio").get<double>(),
                         fisher.at("standard_error").get<double>(),
                         percent(fisher.at("flip_probability").get<double>()));
    } else {
      row += "<td>-</td><td>-</td>";
    }
    return row + fmt::format("<td class=\"file\">{}</td></tr>\n", text(plan, "file"));
  }

  std::string layers() const {
    std::string result =
        "<h2>Layer by layer</h2>\n<p class=\"facts\">Time of each slot before (grey) and after "
        "(blue: rewritten; green: as it was), by the table that whole networks corrected.</p>\n";
    bool first = true;
    for (const Json& plan : pareto_.at("plans")) {
      if (plan.at("rewritten") == 0) continue;
      result += fmt::format("<details{}><summary>{} {}: {:.2f}x measured</summary>\n",
                            first ? " open=\"open\"" : "", text(plan, "strategy"), plan_name(plan),
                            speedup(plan)) +
                layer_bars(plan) + "</details>\n";
      first = false;
    }
    return result;
  }

  std::string layer_bars(const Json& plan) const {
    double most = 1e-9;
    for (const Json& layer : plan.at("layers")) {
      most = std::max(
          {most, number(layer, "original_ms").value_or(0), number(layer, "ms").value_or(0)});
    }
    std::string rows;
    for (const Json& layer : plan.at("layers")) {
      const double before = number(layer, "original_ms").value_or(0);
      const double after = std::max(0.0, number(layer, "ms").value_or(0));
      const bool rewritten = !layer.at("rewrite").get<std::string>().empty();
      rows += fmt::format(
          "<tr><td class=\"name\" title=\"{} {}\"><bdi>{}</bdi></td><td class=\"bars\">"
          "<div class=\"before\" style=\"width:{:.1f}%\"></div>"
          "<div class=\"{}\" style=\"width:{:.1f}%\"></div></td>"
          "<td>{:.3f}</td><td>{:.3f}</td><td>{}</td><td class=\"what steps\">{}</td>"
          "<td class=\"what\">{}</td></tr>\n",
          text(layer, "name"), text(layer, "shape"), text(layer, "name"), 100 * before / most,
          rewritten ? "after" : "kept", 100 * after / most, before, after,
          percent(layer.at("multiplies").get<double>() /
                  std::max(1.0, layer.at("original_multiplies").get<double>())),
          rewritten ? text(layer, "rewrite") : "", text(layer, "algorithms"));
    }
    return "<table class=\"layers\"><thead><tr><th>slot</th><th></th><th>before, ms</th>"
           "<th>after, ms</th><th>multiplies</th><th class=\"what\">rewrite</th><th "
           "class=\"what\">algorithms</th></tr></thead>"
           "<tbody>\n" +
           rows + "</tbody></table>\n";
  }

  static std::string why(const Json& rejection) {
    return fmt::format("{:.0f}% of the original's capacity{}",
                       100 * std::exp(rejection.at("verdict").at("log_ratio").get<double>()),
                       rejection.at("screened").get<bool>() ? ", by its narrow copy" : "");
  }

  std::string screened() const {
    std::string result;
    for (const Json& search : pareto_.at("searches")) {
      const int count = search.at("screened").get<int>();
      if (count == 0) continue;
      result += fmt::format(
          "<p class=\"facts\">Strategy {}: {} random configurations were screened beforehand by "
          "narrow copies; {} of them ({:.0f}%) were rejected there.</p>\n",
          text(search, "strategy"), count, search.at("screened_out").get<int>(),
          100.0 * search.at("screened_out").get<int>() / count);
    }
    return result;
  }

  std::string rejections() const {
    constexpr size_t k_most_rows = 40;
    std::string rows;
    size_t count = 0;
    for (const Json& search : pareto_.at("searches")) {
      for (const Json& rejection : search.at("rejections")) {
        if (++count > k_most_rows) continue;
        const Json& verdict = rejection.at("verdict");
        rows += fmt::format(
            "<tr><td>{}</td><td>{:.2f}x</td><td>{}</td><td>{:+.3f} <small>&#177; "
            "{:.3f}</small></td>"
            "<td>{}</td><td>{}</td><td class=\"what\">{}</td><td class=\"what\">{}</td></tr>\n",
            text(search, "strategy"), rejection.at("predicted_speedup").get<double>(),
            percent(kept(rejection) / 100), verdict.at("log_ratio").get<double>(),
            verdict.at("standard_error").get<double>(), verdict.at("seeds").get<int>(),
            percent(verdict.at("flip_probability").get<double>()), why(rejection),
            text(rejection, "rewrites"));
      }
    }
    std::string result = "<h2>What was rejected, and why</h2>\n" + screened();
    if (count == 0) return result + "<p class=\"facts\">No proposal of the search.</p>\n";
    result +=
        "<div class=\"wide\"><table><thead><tr><th>strategy</th><th>predicted</th>"
        "<th>multiplies</th><th>log ratio</th><th>seeds</th><th>could flip</th>"
        "<th class=\"what\">why</th><th class=\"what\">rewrites</th></tr></thead>\n<tbody>\n" +
        rows + "</tbody></table></div>\n";
    if (count > k_most_rows) {
      result += fmt::format("<p class=\"facts\">And {} more; pareto.json has all.</p>\n",
                            count - k_most_rows);
    }
    return result;
  }

  // With the plan that a reader is most likely to take: the one nearest to twice as fast.
  std::string commands() const {
    const Json* best = nullptr;
    for (const Json& plan : pareto_.at("plans")) {
      if (plan.at("rewritten") == 0) continue;
      if (!best || std::abs(speedup(plan) - 2) < std::abs(speedup(*best) - 2)) best = &plan;
    }
    const std::string model = text(pareto_, "model");
    const std::string data = text(pareto_, "data");
    const std::string folder = text(pareto_, "folder");
    std::string lines;
    for (const Json& plan : pareto_.at("plans")) {
      if (plan.at("rewritten") != 0) continue;
      lines = fmt::format(
          "# the same function, as fast as it was found\n"
          "emulsion compile {} --plan {}/{} -o lib\n",
          model, folder, text(plan, "file"));
      break;
    }
    if (best) {
      const std::string plan = folder + "/" + text(*best, "file");
      lines += fmt::format(
          "\n# {} ({:.2f}x): inherit the weights, train, compile what was trained\n"
          "emulsion transform {} --plan {}{} -o faster.onnx\n"
          "emulsion compile faster.onnx --plan faster.plan.json -o lib\n",
          plan_name(*best), speedup(*best), model, plan, data.empty() ? "" : " --data " + data);
    }
    return "<h2>Next</h2>\n<pre>" + lines + "</pre>\n";
  }

  const Json& pareto_;
  const Json& original_;
  const bool inherit_;
  const double multiplies_, original_ms_;
};

}  // namespace

std::string to_html(const Json& pareto) {
  return Page(pareto).html();
}

}  // namespace emulsion
