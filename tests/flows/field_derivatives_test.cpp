#include <gtest/gtest.h>

#include <cmath>
#include <gradflow/flows/field_derivatives.hpp>

#include "support/flow_cases.hpp"
#include "support/problems.hpp"

// Directional derivatives of the flows' fields against difference quotients, a closed form, and what does not depend on
// the formulation.
namespace gradflow {
namespace {

using Numbers = std::vector<double>;

// A second derivative is a sum of some thousand rounded products, of size 1 in these cases.
constexpr double rounding = 1e-12;

FieldDerivatives derivatives_of(const Task& task, const tests::FlowCase& c,
                                Coordinates coordinates = Coordinates::full_width) {
  return c.full ? FieldDerivatives::of_full_flow(task, c.start, c.rates)
                : FieldDerivatives::of_reduced_flow(task, c.start, c.rates, coordinates);
}

/// Uniform on (-1, 1).
Numbers direction(std::size_t dimension, unsigned seed) {
  std::mt19937_64 generator(seed);
  Numbers v(dimension);
  for (double& value : v) value = static_cast<double>(generator() >> 11U) * 0x1p-52 - 1;
  return v;
}

struct Derivatives {
  Numbers f, f_v, f_vv;
};

Derivatives at(const FieldDerivatives& field, const Numbers& x, const Numbers& v) {
  Derivatives d{x, x, x};
  field.flow().derivative(0, x, d.f);
  field.along(x, v, d.f_v, d.f_vv);
  return d;
}

TEST(FieldDerivativesTest, AreTheLimitsOfDifferenceQuotients) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const Task task(c.task);
    const FieldDerivatives field = derivatives_of(task, c);
    const tests::OwnedFlow<Quad> exact(c);
    const Numbers x = tests::away_from_start(field.flow()), v = direction(x.size(), 3);
    const auto moved = [&](const Quad& h) {
      std::vector<Quad> y = tests::cast<Quad>(x);
      for (std::size_t i = 0; i < y.size(); ++i) y[i] += h * v[i];
      return exact.derivative(y);
    };
    // Truncation h^2 times a derivative of size 10; rounding 1e-34 / h^2.
    const Quad h = Quad(1) / 100'000'000;
    const std::vector<Quad> after = moved(h), now = moved(0), before = moved(-h);
    const Derivatives d = at(field, x, v);
    Numbers first(x.size());
    field.along(x, v, first);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_NEAR(d.f_v[i], static_cast<double>((after[i] - before[i]) / (2 * h)), rounding) << i;
      ASSERT_NEAR(d.f_vv[i], static_cast<double>((after[i] - 2 * now[i] + before[i]) / (h * h)), rounding) << i;
      ASSERT_NEAR(first[i], d.f_v[i], rounding) << i;
    }
  }
}

TEST(FieldDerivativesTest, CentralDifferencesApproachThemAtOrderTwo) {
  const tests::FlowCase& c = tests::flow_cases().front();
  const Task task(c.task);
  const FieldDerivatives field = derivatives_of(task, c);
  const Numbers x = tests::away_from_start(field.flow()), v = direction(x.size(), 3);
  const Derivatives d = at(field, x, v);
  const auto moved = [&](double h) {
    Numbers y = x, f = x;
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += h * v[i];
    field.flow().derivative(0, y, f);
    return f;
  };
  Numbers steps, errors, errors_of_second;
  for (double h = 0.1; h > 0.005; h /= 2) {
    const Numbers after = moved(h), before = moved(-h);
    double first = 0, second = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      first = std::max(first, std::abs((after[i] - before[i]) / (2 * h) - d.f_v[i]));
      second = std::max(second, std::abs((after[i] - 2 * d.f[i] + before[i]) / (h * h) - d.f_vv[i]));
    }
    steps.push_back(h);
    errors.push_back(first);
    errors_of_second.push_back(second);
  }
  // The next term is smaller by h^2 = 0.01 at most.
  EXPECT_NEAR(solvers::order_of(steps, errors), 2, 0.05);
  EXPECT_NEAR(solvers::order_of(steps, errors_of_second), 2, 0.05);
}

TEST(FieldDerivativesTest, OfOneWordSamplesAreAClosedForm) {
  // Attention is 1, so z = y c u.v_k with c the square of the word's count... one word once: z_i = y_i u.v_k.
  const TaskData data = tests::task_of(3, {{0}, {1}, {0}}, {1, -1, 1}, std::nullopt);
  const Task task(data);
  const Weights<double> start = draw_start(StartLaw::gaussian, 2, 3, 3, {0.5, 0.5, 0.5, 0.5}, 4);
  const FieldDerivatives field = FieldDerivatives::of_reduced_flow(task, start, {}, Coordinates::full_width);
  const Numbers x = field.flow().initial_state(), v = direction(x.size(), 8);
  const Derivatives d = at(field, x, v);

  const auto u = [](const Numbers& y) { return Vector<double>(Eigen::Map<const Vector<double>>(y.data(), 2)); };
  const auto column = [](const Numbers& y, Index k) {
    return Vector<double>(Eigen::Map<const Vector<double>>(y.data() + 2 + 2 * k, 2));
  };
  // gV(k) = share_k y_k s(y_k G_k), s = 1 / (1 + e^z), s' = -s (1 - s), s'' = -s' (1 - 2 s), G and its derivatives
  // along v being u.v, du.v + u.dv, 2 du.dv.
  const std::array<double, 2> share{2.0 / 3, 1.0 / 3}, y{1, -1};
  const double M = 3;
  Vector<double> head_1 = Vector<double>::Zero(2), head_2 = head_1;
  for (Index k = 0; k < 2; ++k) {
    const auto j = static_cast<std::size_t>(k);
    const Vector<double> V = column(x, k), dV = column(v, k);
    const double G_1 = u(v).dot(V) + u(x).dot(dV), G_2 = 2 * u(v).dot(dV);
    const double s = 1 / (1 + std::exp(y[j] * u(x).dot(V))), s_1 = -s * (1 - s), s_2 = -s_1 * (1 - 2 * s);
    const double g = share[j] * y[j] * s, g_1 = share[j] * s_1 * G_1,
                 g_2 = share[j] * (y[j] * s_2 * G_1 * G_1 + s_1 * G_2);
    head_1 += M * (g_1 * V + g * dV);
    head_2 += M * (g_2 * V + 2 * g_1 * dV);
    EXPECT_LE((column(d.f_v, k) - (g_1 * u(x) + g * u(v))).norm(), rounding);
    EXPECT_LE((column(d.f_vv, k) - (g_2 * u(x) + 2 * g_1 * u(v))).norm(), rounding);
  }
  EXPECT_LE((u(d.f_v) - head_1).norm(), rounding);
  EXPECT_LE((u(d.f_vv) - head_2).norm(), rounding);
}

TEST(FieldDerivativesTest, TheJacobianIsSymmetricInTheMetric) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    SCOPED_TRACE(c.name);
    const Task task(c.task);
    const FieldDerivatives field = derivatives_of(task, c);
    const Numbers x = tests::away_from_start(field.flow());
    Numbers v = direction(x.size(), 1), w = direction(x.size(), 2);
    for (std::size_t i = 0; i < x.size(); ++i)
      if (field.scales()[i] == 0) v[i] = w[i] = 0;  // a frozen matrix pushes others, but is not pushed
    const Derivatives along_v = at(field, x, v), along_w = at(field, x, w);
    const double size = std::sqrt(field.inner(along_v.f_v, along_v.f_v) * field.inner(w, w));
    EXPECT_NEAR(field.inner(along_v.f_v, w), field.inner(v, along_w.f_v), rounding * std::max(size, 1.0));
    EXPECT_NEAR(field.inner(along_v.f, along_v.f), along_v.f.back(), rounding * along_v.f.back());  // the power
    for (std::size_t i = 0; i < x.size(); ++i)
      ASSERT_TRUE(field.scales()[i] > 0 || i + 1 == x.size() || along_v.f_vv[i] == 0) << "a frozen matrix moves";
  }
}

TEST(FieldDerivativesTest, SeeNoDifferenceBetweenFormulations) {
  for (const tests::FlowCase& c : tests::flow_cases()) {
    if (!c.full) continue;
    SCOPED_TRACE(c.name);
    const Task task(c.task);
    // <f, f>, <f, f'f>, <f'f, f'f>, <f, f''(f,f)>: of W itself, of u at full width, of u compressed.
    std::vector<Numbers> invariants;
    for (const auto& field : {FieldDerivatives::of_full_flow(task, c.start, c.rates),
                              FieldDerivatives::of_reduced_flow(task, c.start, c.rates, Coordinates::full_width),
                              FieldDerivatives::of_reduced_flow(task, c.start, c.rates)}) {
      const Numbers x = field.flow().initial_state();
      Numbers f = x;
      field.flow().derivative(0, x, f);
      const Derivatives d = at(field, x, f);
      invariants.push_back(
          {field.inner(f, f), field.inner(f, d.f_v), field.inner(d.f_v, d.f_v), field.inner(f, d.f_vv)});
    }
    for (std::size_t form = 1; form < 3; ++form)
      for (std::size_t i = 0; i < 4; ++i)
        EXPECT_NEAR(invariants[form][i], invariants[0][i], rounding * std::max(std::abs(invariants[0][i]), 1.0))
            << form << " " << i;
  }
}

}  // namespace
}  // namespace gradflow
