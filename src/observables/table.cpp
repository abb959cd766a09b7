#include <gradflow/flows/curvature.hpp>
#include <gradflow/observables/observables.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "observables/quantities.hpp"

namespace gradflow {
namespace {

using Context = ObservableContext;
using Out = std::span<double>;

template <class Function>
auto scalar(Function function) {
  return [function](Moment& moment, const Context& context, Out out) { out[0] = function(moment, context); };
}

/// One value for each pair of tracked words.
auto gram(double (Moment::*entry)(Index, Index)) {
  return [entry](Moment& moment, const Context& context, Out out) {
    std::size_t place = 0;
    for (const Index first : context.words)
      for (const Index second : context.words) out[place++] = (moment.*entry)(first, second);
  };
}

/// The change of X / rate_x - Y / rate_y over the larger of the two terms; a frozen matrix's term is a law by itself.
double law_drift(double X, double X0, double rate_x, double Y, double Y0, double rate_y) {
  const double x = rate_x > 0 ? 1 / rate_x : 1, y = rate_y > 0 ? 1 / rate_y : 1;
  const double larger = std::max(std::abs(X * x), std::abs(Y * y));
  double change = (X - X0) * x - (Y - Y0) * y;
  if (!(rate_x > 0 && rate_y > 0)) change = (rate_x > 0 ? 0 : std::abs(X - X0)) + (rate_y > 0 ? 0 : std::abs(Y - Y0));
  return larger > 0 ? change / larger : 0;
}

double accuracy(const std::vector<double>& z) {
  return static_cast<double>(std::count_if(z.begin(), z.end(), [](double v) { return v > 0; })) /
         static_cast<double>(z.size());
}

double attention_shift(Moment& moment, const Context& context) {
  const std::vector<double>& P = moment.forward().attention;
  double largest = 0;
  for (std::size_t i = 0; i < P.size(); ++i) largest = std::max(largest, std::abs(P[i] - context.origin.attention[i]));
  return largest;
}

double drift_vw(Moment& moment, const Context& context) {
  const Flow<double>& flow = moment.flow();
  const double M = static_cast<double>(flow.hidden());
  return law_drift(moment.U(), context.origin.U, flow.rates().W, M * moment.trace_Gamma(),
                   M * context.origin.trace_Gamma, flow.rates().W_V);
}

double drift_kq(Moment& moment, const Context& context) {
  const Flow<double>& flow = moment.flow();
  return law_drift(moment.trace_S_K(), context.origin.trace_S_K, flow.rates().W_K, moment.trace_S_Q(),
                   context.origin.trace_S_Q, flow.rates().W_Q);
}

double energy_defect(Moment& moment, const Context& context) {
  return (moment.forward().loss + moment.integrated_power() - context.origin.loss) / context.origin.loss;
}

void alignment(Moment& moment, const Context& context, Out out) {
  std::transform(context.words.begin(), context.words.end(), out.begin(),
                 [&](Index k) { return moment.G(k) / std::sqrt(moment.U() * moment.Gamma(k, k)); });
}

void power_share(Moment& moment, const Context&, Out out) {
  const PerMatrix<double>& power = moment.power();
  const double sum = std::accumulate(power.begin(), power.end(), 0.0);
  std::transform(power.begin(), power.end(), out.begin(), [sum](double part) { return part / sum; });
}

void norms(Moment& moment, const Context& context, Out out) {
  const Flow<double>& flow = moment.flow();
  out[0] = std::sqrt(context.origin.still_W + moment.U() / static_cast<double>(flow.hidden()));
  out[1] = std::sqrt(moment.trace_Gamma());
  out[2] = std::sqrt(moment.trace_S_K());
  out[3] = std::sqrt(moment.trace_S_Q());
}

// A bar for the one end of the spectrum that is asked for; the other takes what it gets.
constexpr double any = std::numeric_limits<double>::infinity(), tight = 1e-8;

double sharpness(Moment& moment, const Context&) {
  const Curvature found =
      curvature(moment.field(), moment.x(), {.tolerance_largest = tight, .tolerance_smallest = any});
  return found.converged ? found.largest : std::numeric_limits<double>::quiet_NaN();
}

double curvature_min(Moment& moment, const Context&) {
  const Curvature found =
      curvature(moment.field(), moment.x(), {.tolerance_largest = any, .tolerance_smallest = tight});
  return found.converged ? found.smallest : std::numeric_limits<double>::quiet_NaN();
}

const char* const equation1 = "Yang et al. 2024, equation 1";
const char* const coupled = "Yang et al. 2024, Appendix C (coupled dynamical system)";

const std::vector<Observable>& table() {
  static const std::vector<Observable> rows{
      {"loss", {}, "1", "training loss: mean of log(1 + exp(-z_i))", equation1, scalar([](Moment& m, const Context&) {
         return m.forward().loss;
       })},
      {"accuracy", {}, "1", "fraction of samples with margin z_i > 0", equation1, scalar([](Moment& m, const Context&) {
         return accuracy(m.forward().margin);
       })},
      {"margin_min",
       {},
       "1",
       "smallest margin, min_i z_i = min_i y_i F(X_i)",
       equation1,
       scalar([](Moment& m, const Context&) { return m.margin_min(); })},
      {"loss_class",
       {"class"},
       "1",
       "mean loss over the samples of each class",
       equation1,
       [](Moment& m, const Context&, Out out) { by_class(m, m.forward().sample_loss, true, out); }},
      {"gradient_sum",
       {"class"},
       "1",
       "S_c = sum over class c of g_i = 1 / (1 + exp(z_i))",
       "Yang et al. 2024, Lemmas 4.4 and 4.5",
       [](Moment& m, const Context&, Out out) { by_class(m, m.forward().residual, false, out); }},
      {"G",
       {"word"},
       "1",
       "value of each word: G(k) = a^T W W_V mu_k",
       "Yang et al. 2024, Theorem 3.1",
       [](Moment& m, const Context& c, Out out) {
         std::transform(c.words.begin(), c.words.end(), out.begin(), [&](Index k) { return m.G(k); });
       }},
      {"B", {"key", "query"}, "1", "W_K^T W_Q: attention scores times sqrt(m)", coupled, gram(&Moment::B)},
      {"Gamma", {"word", "word2"}, "1", "W_V^T W_V", coupled, gram(&Moment::Gamma)},
      {"U", {}, "1", "squared length of u = W^T a", coupled, scalar([](Moment& m, const Context&) { return m.U(); })},
      {"attention_shift",
       {},
       "1",
       "max over samples i, queries q, keys k of |P_iq(k) - P_iq(k; t = 0)|",
       equation1,
       scalar(attention_shift)},
      {"power",
       {"matrix"},
       "1",
       "squared speed of each matrix",
       "Yang et al. 2024, Appendix B",
       [](Moment& m, const Context&, Out out) { std::copy(m.power().begin(), m.power().end(), out.begin()); }},
      {"drift_vw",
       {},
       "1",
       "change since t = 0 of U - M tr Gamma, over its larger term",
       "conservation law of the flow",
       scalar(drift_vw)},
      {"drift_kq",
       {},
       "1",
       "change since t = 0 of tr W_K^T W_K - tr W_Q^T W_Q, over its larger term",
       "conservation law of the flow",
       scalar(drift_kq)},
      {"energy_defect",
       {},
       "1",
       "(loss + integrated power - loss at t = 0) / loss at t = 0",
       "dL/dt = -power",
       scalar(energy_defect)},
      {"G_filler",
       {"statistic"},
       "1",
       "mean, deviation, smallest and largest value G of the filler words that stand in a training sample",
       "Yang et al. 2024, Theorem 3.1",
       [](Moment& m, const Context&, Out out) { filler_statistics(m, out); }},
      {"alignment",
       {"word"},
       "1",
       "cosine of the angle between u = W^T a and each word's value vector W_V mu_k",
       "G(k) / sqrt(U Gamma(k,k))",
       alignment},
      {"power_share",
       {"matrix"},
       "1",
       "share of each matrix in the sum of the squared speeds",
       "Yang et al. 2024, Appendix B",
       power_share},
      {"norm",
       {"matrix"},
       "1",
       "Frobenius norm of each matrix, the columns of all words included; NaN for W where the flow has inner products "
       "only, which say of W no more than W^T a",
       "W - a u^T / M is constant; tr Gamma, tr W_K^T W_K, tr W_Q^T W_Q",
       norms},
      {.name = "loss_test",
       .dimensions = {},
       .unit = "1",
       .long_name = "mean of log(1 + exp(-z_i)) over the test samples",
       .source = equation1,
       .evaluate = scalar([](Moment& m, const Context& c) { return m.forward_of(*c.test).loss; }),
       .needs_test = true},
      {.name = "accuracy_test",
       .dimensions = {},
       .unit = "1",
       .long_name = "fraction of test samples with margin z_i > 0",
       .source = equation1,
       .evaluate = scalar([](Moment& m, const Context& c) { return accuracy(m.forward_of(*c.test).margin); }),
       .needs_test = true},
      {.name = "attention",
       .dimensions = {"class", "key_role", "query_role"},
       .unit = "1",
       .long_name = "attention P_iq on all keys of a role, mean over the query tokens of a role in the samples of a "
                    "class; NaN where there are none",
       .source = equation1,
       .evaluate = [](Moment& m, const Context&, Out out) { attention_by_role(m, out); },
       .on_request = true},
      {.name = "loss_class_slope",
       .dimensions = {"class"},
       .unit = "1",
       .long_name = "d log loss_c / d log t = t loss_c' / loss_c of each class, along the flow",
       .source = coupled,
       .evaluate = [](Moment& m, const Context&, Out out) { loss_class_slope(m, out); },
       .on_request = true},
      {.name = "stable_rank",
       .dimensions = {"matrix"},
       .unit = "1",
       .long_name = "squared Frobenius over squared spectral norm of each matrix, the columns of all words included; "
                    "where the flow has inner products only NaN for W, and for all where it leaves words out (track "
                    "them with save.words)",
       .source = "tr(X^T X) / lambda_max(X^T X)",
       .evaluate = [](Moment& m, const Context&, Out out) { stable_ranks(m, out); },
       .on_request = true},
      {.name = "sharpness",
       .dimensions = {},
       .unit = "1",
       .long_name =
           "largest eigenvalue of the loss's Hessian in all parameters, per unit of flow time, each matrix at its "
           "rate",
       .source = "Lanczos method on exact products (Golub and Van Loan 2013, 10.1)",
       .evaluate = scalar(sharpness),
       .on_request = true,
       .needs_weights = true},
      {.name = "curvature_min",
       .dimensions = {},
       .unit = "1",
       .long_name =
           "smallest eigenvalue of the loss's Hessian in all parameters, per unit of flow time, each matrix at its "
           "rate",
       .source = "Lanczos method on exact products (Golub and Van Loan 2013, 10.1)",
       .evaluate = scalar(curvature_min),
       .on_request = true,
       .needs_weights = true},
  };
  return rows;
}

}  // namespace

std::span<const Observable> observable_table() { return table(); }

std::vector<std::string> observables_on_request() {
  std::vector<std::string> names;
  for (const Observable& row : table())
    if (row.on_request) names.push_back(row.name);
  return names;
}

}  // namespace gradflow
