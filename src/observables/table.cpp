#include <gradflow/observables/observables.hpp>

#include <algorithm>
#include <cmath>

namespace gradflow {
namespace {

using Context = ObservableContext;
using Out = std::span<double>;

template <class Function>
auto scalar(Function function) {
  return [function](Moment& moment, const Context& context, Out out) { out[0] = function(moment, context); };
}

/// One value for each pair of tracked words, from a member (x, word, word2) of Flow.
auto gram(double (Flow<double>::*entry)(std::span<const double>, Index, Index) const) {
  return [entry](Moment& moment, const Context& context, Out out) {
    std::size_t place = 0;
    for (const Index first : context.words)
      for (const Index second : context.words) out[place++] = (moment.flow().*entry)(moment.x(), first, second);
  };
}

/// Sums (or means) of a per-sample quantity over each class.
void by_class(Moment& moment, const std::vector<double>& per_sample, bool mean, Out out) {
  std::vector<double> count(out.size());
  std::fill(out.begin(), out.end(), 0.0);
  for (Index i = 0; i < moment.task().samples(); ++i) {
    const auto c = static_cast<std::size_t>(moment.task().class_of(i));
    out[c] += per_sample[static_cast<std::size_t>(i)];
    ++count[c];
  }
  if (mean)
    for (std::size_t c = 0; c < out.size(); ++c) out[c] /= count[c];  // an empty class has no mean: NaN
}

/// The change of X / rate_x - Y / rate_y over the larger of the two terms; a frozen matrix's term is a law by itself.
double law_drift(double X, double X0, double rate_x, double Y, double Y0, double rate_y) {
  const double x = rate_x > 0 ? 1 / rate_x : 1, y = rate_y > 0 ? 1 / rate_y : 1;
  const double larger = std::max(std::abs(X * x), std::abs(Y * y));
  double change = (X - X0) * x - (Y - Y0) * y;
  if (!(rate_x > 0 && rate_y > 0)) change = (rate_x > 0 ? 0 : std::abs(X - X0)) + (rate_y > 0 ? 0 : std::abs(Y - Y0));
  return larger > 0 ? change / larger : 0;
}

double accuracy(Moment& moment, const Context&) {
  const std::vector<double>& z = moment.forward().margin;
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
  return law_drift(moment.U(), context.origin.U, flow.rates().W, M * flow.trace_Gamma(moment.x()),
                   M * context.origin.trace_Gamma, flow.rates().W_V);
}

double drift_kq(Moment& moment, const Context& context) {
  const Flow<double>& flow = moment.flow();
  return law_drift(flow.trace_S_K(moment.x()), context.origin.trace_S_K, flow.rates().W_K, flow.trace_S_Q(moment.x()),
                   context.origin.trace_S_Q, flow.rates().W_Q);
}

double energy_defect(Moment& moment, const Context& context) {
  return (moment.forward().loss + moment.flow().integrated_power(moment.x()) - context.origin.loss) /
         context.origin.loss;
}

const char* const equation1 = "Yang et al. 2024, equation 1";
const char* const coupled = "Yang et al. 2024, Appendix C (coupled dynamical system)";

const std::vector<Observable>& table() {
  static const std::vector<Observable> rows{
      {"loss", {}, "1", "training loss: mean of log(1 + exp(-z_i))", equation1, scalar([](Moment& m, const Context&) {
         return m.forward().loss;
       })},
      {"accuracy", {}, "1", "fraction of samples with margin z_i > 0", equation1, scalar(accuracy)},
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
      {"B", {"key", "query"}, "1", "W_K^T W_Q: attention scores times sqrt(m)", coupled, gram(&Flow<double>::B)},
      {"Gamma", {"word", "word2"}, "1", "W_V^T W_V", coupled, gram(&Flow<double>::Gamma)},
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
       [](Moment& m, const Context&, Out out) {
         const PerMatrix<double> power = m.flow().power(m.x(), m.gV(), m.gA());
         std::copy(power.begin(), power.end(), out.begin());
       }},
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
  };
  return rows;
}

}  // namespace

std::span<const Observable> observable_table() { return table(); }

}  // namespace gradflow
