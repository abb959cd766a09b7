#pragma once
#include <gradflow/descent/rate_estimate.hpp>
#include <gradflow/experiment/compare.hpp>
#include <gradflow/trajectory/comparison.hpp>

#include <functional>

#include "experiment/compare_table.hpp"
#include "experiment/problem.hpp"

namespace gradflow {

/// How one trial of a rate went.
struct RateTrial {
  double distance;  ///< the largest, or infinity where the descent diverged
  bool known;       ///< false: the trial came to no end (interrupted, or the flow failed)
};

/// Brackets the largest rate whose distance is within eps to 5 %, from a first guess: geometric steps until there are
/// rates on both sides, then bisection. `most`: the largest rate that can be tried, `least` the smallest that is. Ends
/// early at a trial that is not known. `search.method` and `eps` are given.
RateSearch search_rate(RateSearch search, double guess, double least, double most,
                       const std::function<RateTrial(double rate)>& trial);

/// The same by descents beside the problem's flow. `update` makes the method's update of a rate; `nearby` are descents
/// of the method that have been seen: rate and largest distance.
RateSearch search_rate(const Problem& problem, RateSearch search, const std::vector<double>& record_times,
                       const std::vector<std::pair<double, double>>& nearby,
                       const std::function<Update(double rate)>& update, Listener& listener);

/// The group `learning_rate` of a comparison's file: nothing of it is known beforehand but what was asked for. Present
/// where something was.
trajectory::Arrays describe_rates(const std::vector<double>& eps, const ComparisonLabels& labels);
/// `estimates`: one for each eps.
void write_rates(trajectory::ComparisonWriter& writer, const std::vector<RateSearch>& searches,
                 const ComparisonLabels& labels, const std::vector<std::optional<RateEstimate>>& estimates);

}  // namespace gradflow
