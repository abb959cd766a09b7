#include "cli/comparison_rates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/format.hpp"
#include "cli/results.hpp"

namespace gradflow::cli {
namespace {

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;
using trajectory::ComparisonReader;

/// One of the file's groups of results.
class Results {
 public:
  Results(const ComparisonReader& comparison, const std::string& group) : arrays_(comparison.results(group)) {}

  const std::vector<std::string>& labels(const std::string& dimension) const {
    return std::ranges::find(arrays_.dimensions, dimension, &trajectory::Dimension::name)->labels;
  }
  const std::vector<double>& values(const std::string& name) const {
    return std::get<std::vector<double>>(std::ranges::find(arrays_.arrays, name, &trajectory::Array::name)->values);
  }
  Json json(const std::string& name) const {
    Json list = Json::array();
    for (const double value : values(name)) list.push_back(number(value));
    return list;
  }

 private:
  trajectory::Arrays arrays_;
};

int whole(double value) { return std::isnan(value) ? 0 : static_cast<int>(value); }

/// Calls with each method, reference and place among the values.
template <class Function>
void for_each_fit(const Results& fits, const Function& function) {
  std::size_t place = 0;
  for (const std::string& method : fits.labels("method"))
    for (const std::string& reference : fits.labels("reference")) function(method, reference, place++);
}

/// The orders at the last time of the comparison, by method and reference.
struct AtTheEnd {
  explicit AtTheEnd(const ComparisonReader& comparison)
      : order(last_row(comparison.column("order"))), error(last_row(comparison.column("order_error"))) {}
  std::vector<double> order, error;

 private:
  static std::vector<double> last_row(const trajectory::Values& column) {
    const auto size = static_cast<std::size_t>(column.shape[1] * column.shape[2]);
    if (column.values.empty()) return std::vector<double>(size, trajectory::unknown);
    return {column.values.end() - static_cast<std::ptrdiff_t>(size), column.values.end()};
  }
};

std::string fits_text(const ComparisonReader& comparison) {
  const Results fits(comparison, "fits");
  const AtTheEnd end(comparison);
  Rows rows{{"method", "from the", "order of the largest distance", "95 % interval", "order at the end", "rates"}};
  for_each_fit(fits, [&](const std::string& method, const std::string& reference, std::size_t i) {
    const double order = fits.values("order")[i], within = fits.values("order_confidence")[i];
    if (std::isnan(order)) return;
    rows.push_back({method, reference == "flow" ? "flow" : "modified flow of " + reference,
                    with_error(order, fits.values("order_error")[i]),
                    std::isnan(within) ? "-" : fmt::format("{:.3f} .. {:.3f}", order - within, order + within),
                    with_error(end.order[i], end.error[i]), fmt::format("{}", whole(fits.values("rates_used")[i]))});
  });
  if (rows.size() == 1) return "No order can be fitted: it takes two rates of a rule that follows the flow.\n";
  return table(rows) +
         "By least squares of log(distance) against log(rate), with the standard error; the largest distance often is "
         "that "
         "of\nthe first steps. The file has the order at every t (comparison/order), and between neighbouring rates "
         "(fits/order_at_rate).\n";
}

std::string stability_text(const ComparisonReader& comparison) {
  if (!comparison.has_results("curvature")) return "";
  const Results curvature(comparison, "curvature");
  Rows rows{{"", "eta * sharpness", "at the start", "largest", "at t", "stable below"}};
  for (std::size_t d = 0; d < comparison.labels().size(); ++d) {
    const double limit = curvature.values("stability_limit")[d], most = curvature.values("eta_sharpness_largest")[d];
    if (std::isnan(limit)) continue;
    rows.push_back({fmt::format("{}", d), comparison.labels()[d], figure(curvature.values("eta_sharpness_start")[d]),
                    figure(most) + (most >= limit ? " !" : ""), figure(curvature.values("eta_sharpness_largest_t")[d]),
                    figure(limit)});
  }
  const auto& smallest = curvature.values("curvature_min");
  const double least = *std::ranges::min_element(smallest, [](double a, double b) { return a < b || std::isnan(b); });
  return (rows.size() > 1 ? table(rows) : "") +
         fmt::format(
             "!: beyond it. Sharpness: the Hessian's largest eigenvalue, at {} times along the flow. Its smallest "
             "there: {}.\n",
             smallest.size(), figure(least)) +
         "\n";
}

std::string learning_rates_text(const ComparisonReader& comparison) {
  if (!comparison.has_results("learning_rate")) return "";
  const Results rates(comparison, "learning_rate");
  const std::vector<double>& eps = rates.values("eps");
  const std::vector<std::string>& methods = rates.labels("method");
  Rows rows{{"within eps of the flow", "method", "largest rate found", "its distance", "too large", "trials"}};
  std::string estimates;
  for (std::size_t request = 0; request < eps.size(); ++request) {
    for (std::size_t method = 0; method < methods.size(); ++method) {
      const std::size_t i = request * methods.size() + method;
      if (whole(rates.values("trials")[i]) == 0) continue;
      rows.push_back({fmt::format("{:g}", eps[request]), methods[method], figure(rates.values("largest")[i]),
                      figure(rates.values("largest_distance")[i]), figure(rates.values("too_large")[i]),
                      fmt::format("{}", whole(rates.values("trials")[i]))});
    }
    const double log10_estimate = rates.values("log10_estimate")[request];
    if (!std::isnan(log10_estimate))
      estimates += fmt::format(
          "Estimate of a rate of gd that is enough for {:g} (Elkabetz and Cohen 2021, taken on the flow "
          "itself: no bound): {}\n",
          eps[request],
          log10_estimate > -300 ? fmt::format("{:.2g}", std::pow(10, log10_estimate))
                                : fmt::format("1e{:.0f}", log10_estimate));
  }
  return (rows.size() > 1 ? table(rows) : "") + estimates + "\n";
}

}  // namespace

std::string figure(double value) { return std::isnan(value) ? "-" : fmt::format("{:.3g}", value); }

std::string rates_text(const ComparisonReader& comparison) {
  return stability_text(comparison) + learning_rates_text(comparison) + fits_text(comparison);
}

Json rates_json(const ComparisonReader& comparison) {
  const Results fits(comparison, "fits");
  const AtTheEnd end(comparison);
  Json orders = Json::array();
  for_each_fit(fits, [&](const std::string& method, const std::string& reference, std::size_t i) {
    orders.push_back({{"method", method},
                      {"reference", reference},
                      {"order", number(fits.values("order")[i])},
                      {"order_error", number(fits.values("order_error")[i])},
                      {"order_confidence", number(fits.values("order_confidence")[i])},
                      {"order_end", number(end.order[i])},
                      {"order_end_error", number(end.error[i])},
                      {"rates", whole(fits.values("rates_used")[i])}});
  });
  Json json{{"fits", orders}, {"curvature", nullptr}, {"learning_rates", nullptr}};
  if (comparison.has_results("curvature")) {
    const Results curvature(comparison, "curvature");
    for (const char* name : {"t", "sharpness", "curvature_min", "gradient", "eta_sharpness_start",
                             "eta_sharpness_largest", "eta_sharpness_largest_t", "stability_limit"})
      json["curvature"][name] = curvature.json(name);
  }
  if (comparison.has_results("learning_rate")) {
    const Results rates(comparison, "learning_rate");
    json["learning_rates"] = Json::array();
    const std::vector<std::string>& methods = rates.labels("method");
    for (std::size_t request = 0; request < rates.values("eps").size(); ++request) {
      Json row{{"eps", number(rates.values("eps")[request])},
               {"log10_estimate", number(rates.values("log10_estimate")[request])},
               {"estimate_t", number(rates.values("estimate_t")[request])},
               {"methods", Json::object()}};
      for (std::size_t method = 0; method < methods.size(); ++method) {
        const std::size_t i = request * methods.size() + method;
        for (const char* name : {"largest", "largest_distance", "too_large", "too_large_distance"})
          row["methods"][methods[method]][name] = number(rates.values(name)[i]);
        row["methods"][methods[method]]["trials"] = whole(rates.values("trials")[i]);
      }
      json["learning_rates"].push_back(row);
    }
  }
  return json;
}

}  // namespace gradflow::cli
