#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <gradflow/flows/gram.hpp>
#include <limits>
#include <map>
#include <numeric>

#include "observables/quantities.hpp"
#include "observables/scene.hpp"
#include "tasks/message_of.hpp"

// The observables beyond loss, values and Gram matrices, against equation 1, the weights, and identities.
namespace gradflow {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using tests::message_of;
using tests::Scene;
using Numbers = std::vector<double>;

// Sums of some hundred terms of order 1, each rounded a few times.
constexpr double rounding = 1000 * std::numeric_limits<double>::epsilon();

const Observable& row(const std::string& name) {
  const auto rows = observable_table();
  return *std::ranges::find(rows, name, &Observable::name);
}

Numbers values_of(const Observables& observables, Moment& moment, const std::string& name) {
  Numbers values(observables.size(row(name)));
  row(name).evaluate(moment, observables.context(), values);
  return values;
}

void expect_near(const Numbers& values, const Numbers& expected, double tolerance = rounding) {
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    if (std::isnan(expected[i]))
      EXPECT_TRUE(std::isnan(values[i])) << i;
    else
      EXPECT_NEAR(values[i], expected[i], tolerance * std::max(1.0, std::abs(expected[i]))) << i;
}

/// A coupled flow at the state of a scene's flow, of all words or of those that it needs.
struct Coupled {
  explicit Coupled(const Scene& scene, std::vector<Index> also = {})
      : words(coupled_words(*scene.flow.task, also)),
        start(make_coupled_flow(*scene.flow.task, gram_start(scene.weights0, words), scene.flow->rates())),
        flow(make_coupled_flow(*scene.flow.task, gram_start(scene.weights, words), scene.flow->rates())),
        x0(start->initial_state()),
        x(flow->initial_state()),
        began(*start),
        now(*flow) {
    began.set(0, x0);
    now.set(1, x);
  }
  std::vector<Index> words;
  std::unique_ptr<Flow<double>> start, flow;
  Numbers x0, x;
  Moment began, now;
};

std::size_t role_of(const TaskData& data, Index word) {
  return word == data.targets[0] ? 0 : word == data.targets[1] ? 1 : word == data.common ? 2 : 3;
}

TEST(QuantitiesTest, AttentionByRoleAgreesWithEquation1) {
  for (const tests::NamedTask& task : tests::tasks()) {
    SCOPED_TRACE(task.name);
    Scene scene(tests::case_of(task.data));
    const TaskData& data = scene.data();
    const std::size_t classes = data.class_names.size();
    Numbers expected(classes * 16), tokens(classes * 4);
    for (std::size_t i = 0; i < data.tokens.size(); ++i) {
      const auto c = static_cast<std::size_t>(data.sample_class[i]);
      for (std::size_t q = 0; q < data.tokens[i].size(); ++q) {
        const std::size_t query = role_of(data, data.tokens[i][q]);
        ++tokens[c * 4 + query];
        for (std::size_t k = 0; k < data.tokens[i].size(); ++k)
          expected[(c * 4 + role_of(data, data.tokens[i][k])) * 4 + query] +=
              static_cast<double>(scene.model.attention[i](static_cast<Index>(k), static_cast<Index>(q)));
      }
    }
    for (std::size_t c = 0; c < classes; ++c)
      for (std::size_t key = 0; key < 4; ++key)
        for (std::size_t query = 0; query < 4; ++query) expected[(c * 4 + key) * 4 + query] /= tokens[c * 4 + query];
    const Numbers values = values_of(scene.observables, scene.now, "attention");
    expect_near(values, expected);
    // Over the roles of the keys it is all the attention that there is.
    for (std::size_t c = 0; c < classes; ++c)
      for (std::size_t query = 0; query < 4; ++query) {
        double sum = 0;
        for (std::size_t key = 0; key < 4; ++key) sum += values[(c * 4 + key) * 4 + query];
        if (tokens[c * 4 + query] > 0) {
          EXPECT_NEAR(sum, 1, rounding);
        }
      }
  }
}

TEST(QuantitiesTest, FillersAreSummedUp) {
  for (const tests::NamedTask& task : tests::tasks()) {
    SCOPED_TRACE(task.name);
    Scene scene(tests::case_of(task.data));
    const Vector<double> G = scene.weights.W_V.transpose() * (scene.weights.W.transpose() * scene.weights.a);
    std::map<Index, double> fillers;
    for (const auto& sample : scene.data().tokens)
      for (const Index word : sample)
        if (role_of(scene.data(), word) == 3) fillers[word] = G[word];
    double sum = 0, squares = 0, smallest = std::nan(""), largest = std::nan("");
    for (const auto& [word, value] : fillers) {
      sum += value;
      squares += value * value;
      smallest = std::fmin(smallest, value);
      largest = std::fmax(largest, value);
    }
    const auto n = static_cast<double>(fillers.size());
    expect_near(values_of(scene.observables, scene.now, "G_filler"),
                {sum / n, fillers.empty() ? std::nan("") : std::sqrt(std::max(0.0, squares / n - sum * sum / n / n)),
                 smallest, largest},
                1e-7);  // the deviation of a single filler: a root of its rounding
  }
}

double stable_rank(const Matrix<double>& matrix) {
  const double length = Eigen::JacobiSVD<Matrix<double>>(matrix).singularValues()[0];
  return matrix.squaredNorm() / (length * length);
}

/// Two steps of gradient descent from the start: away from it, and yet W has moved along a alone.
Numbers on_the_law(const tests::OwnedFlow<double>& flow) {
  Numbers x = flow->initial_state();
  for (const double step : {0.7, 1.3}) {
    const Numbers f = flow.derivative(x);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += step * f[i];
  }
  return x;
}

TEST(QuantitiesTest, CosinesNormsAndRanksAreThoseOfTheWeights) {
  for (const tests::NamedTask& task : tests::tasks())
    for (const Rates<double>& rates : {Rates<double>{}, Rates<double>{0.5, 2, 3, 0.25}, Rates<double>{0, 1, 1, 0}})
      for (const bool full : {false, true}) {
        SCOPED_TRACE(task.name);
        Scene scene(tests::case_of(task.data, rates, full));
        scene.x = on_the_law(scene.flow);
        scene.now.set(1, scene.x);
        const Weights<double> w = scene.weights = scene.flow->weights(scene.x);
        const Vector<double> u = w.W.transpose() * w.a;
        const auto cosine = [&](Index k) { return u.dot(w.W_V.col(k)) / (u.norm() * w.W_V.col(k).norm()); };
        const Numbers cosines{cosine(2), cosine(0), cosine(3)},
            norms{w.W.norm(), w.W_V.norm(), w.W_K.norm(), w.W_Q.norm()},
            ranks{stable_rank(w.W), stable_rank(w.W_V), stable_rank(w.W_K), stable_rank(w.W_Q)};
        expect_near(values_of(scene.observables, scene.now, "alignment"), cosines);
        expect_near(values_of(scene.observables, scene.now, "norm"), norms);
        expect_near(values_of(scene.observables, scene.now, "stable_rank"), ranks);
        const Numbers power = values_of(scene.observables, scene.now, "power");
        const double sum = power[0] + power[1] + power[2] + power[3];
        expect_near(values_of(scene.observables, scene.now, "power_share"),
                    {power[0] / sum, power[1] / sum, power[2] / sum, power[3] / sum});

        const double nan = std::nan("");
        std::vector<Index> all(static_cast<std::size_t>(task.data.words));
        std::iota(all.begin(), all.end(), 0);
        Coupled coupled(scene, all);
        const Observables observables(coupled.began, {2, 0, 3});
        expect_near(values_of(observables, coupled.now, "alignment"), cosines);
        expect_near(values_of(observables, coupled.now, "norm"), {nan, norms[1], norms[2], norms[3]});
        expect_near(values_of(observables, coupled.now, "stable_rank"), {nan, ranks[1], ranks[2], ranks[3]});
        Coupled few(scene);
        if (few.words.size() == all.size()) continue;
        expect_near(values_of(Observables(few.began, {2, 0}), few.now, "norm"), {nan, norms[1], norms[2], norms[3]});
        expect_near(values_of(Observables(few.began, {2, 0}), few.now, "stable_rank"), {nan, nan, nan, nan});
      }
}

/// d log L_c / d log t at t = 1, the derivative of L_c along the flow by a central difference of four times the digits:
/// its truncation is of order e^2 = 1e-18.
Numbers slopes_by_differences(const tests::FlowCase& c, const Numbers& x) {
  const tests::OwnedFlow<Quad> flow(c);
  const std::vector<Quad> at = tests::cast<Quad>(x), f = flow.derivative(at);
  const Quad e = 0x1p-30;
  const auto class_losses = [&](const Quad& step) {
    std::vector<Quad> y = at;
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += step * f[i];
    const auto model = tests::equation1<Quad>(c.task, flow->weights(y));
    std::vector<Quad> sums(c.task.class_names.size());
    for (std::size_t i = 0; i < model.sample_loss.size(); ++i)
      sums[static_cast<std::size_t>(c.task.sample_class[i])] += model.sample_loss[i];
    return sums;
  };
  const std::vector<Quad> before = class_losses(-e), now = class_losses(0), after = class_losses(e);
  Numbers slopes;
  for (std::size_t k = 0; k < now.size(); ++k)
    slopes.push_back(now[k] > 0 ? static_cast<double>((after[k] - before[k]) / (2 * e * now[k])) : std::nan(""));
  return slopes;
}

TEST(QuantitiesTest, SlopesOfTheClassLossesAreDerivativesAlongTheFlow) {
  for (const tests::NamedTask& task : tests::tasks())
    for (const auto& [name, rates] : tests::all_rates)
      for (const bool full : {false, true}) {
        SCOPED_TRACE(task.name + " " + name);
        const tests::FlowCase c = tests::case_of(task.data, rates, full);
        Scene scene(c);
        const Numbers slopes = values_of(scene.observables, scene.now, "loss_class_slope");
        expect_near(slopes, slopes_by_differences(c, scene.x));
        scene.now.set(8, scene.x);
        const Numbers later = values_of(scene.observables, scene.now, "loss_class_slope");
        for (std::size_t k = 0; k < slopes.size(); ++k)
          if (!std::isnan(slopes[k])) {
            EXPECT_EQ(later[k], 8 * slopes[k]);
          }

        // Weighted by the classes' losses they are dL/dt = -(sum of |theta'|^2 / rho).
        const Numbers loss = values_of(scene.observables, scene.now, "loss_class"),
                      power = values_of(scene.observables, scene.now, "power");
        double along = 0, sum = 0;
        for (const Index k : scene.data().sample_class)
          along += slopes[static_cast<std::size_t>(k)] * loss[static_cast<std::size_t>(k)] /
                   static_cast<double>(scene.data().labels.size());
        const std::array rho{rates.W, rates.W_V, rates.W_K, rates.W_Q};
        for (std::size_t k = 0; k < 4; ++k) sum += rho[k] > 0 ? power[k] / rho[k] : 0;
        EXPECT_NEAR(along, -sum, rounding * std::max(1.0, sum));

        Coupled coupled(scene);
        expect_near(values_of(Observables(coupled.began, {0}), coupled.now, "loss_class_slope"), slopes);
        for (const double slope : values_of(scene.observables, scene.start, "loss_class_slope"))
          EXPECT_TRUE(std::isnan(slope) || std::isfinite(slope));
      }
}

/// Test samples over the same vocabulary, words that are never trained on among them.
TaskData test_samples(const TaskData& train) {
  std::vector<Index> all(static_cast<std::size_t>(train.words));
  std::iota(all.begin(), all.end(), 0);
  std::vector<std::vector<Index>> tokens{all, {0, 1, train.words - 1}, {3, 3, 0}, {1, 2, 3, 0, 0}, {2}};
  return tests::task_of(train.words, std::move(tokens), {1, 1, -1, 1, -1}, train.common);
}

TEST(TestSamplesTest, AgreeWithEquation1InEveryFormulation) {
  for (const tests::NamedTask& task : tests::tasks()) {
    SCOPED_TRACE(task.name);
    const Task test(test_samples(task.data));
    Scene scene(tests::case_of(task.data));
    const auto model = tests::equation1(test.data(), scene.weights.cast<long double>());
    const auto correct = std::ranges::count_if(model.margin, [](long double z) { return z > 0; });
    const Numbers expected{static_cast<double>(model.loss), static_cast<double>(correct) / 5};
    const auto expect_test = [&](Moment& start, Moment& now) {
      const Observables observables(start, {0}, {}, &test);
      Numbers all(observables.size());
      observables.evaluate(now, all);
      expect_near({all[all.size() - 2], all.back()}, expected);
      EXPECT_EQ(observables.scalar("loss_test")(now), all[all.size() - 2]);
      std::vector<std::string> names;
      for (const Observable* recorded : observables.rows()) names.push_back(recorded->name);
      names.erase(names.begin(), names.end() - 2);
      EXPECT_THAT(names, ElementsAre("loss_test", "accuracy_test"));
    };
    expect_test(scene.start, scene.now);
    std::vector<Index> all(static_cast<std::size_t>(task.data.words));
    std::iota(all.begin(), all.end(), 0);
    Coupled coupled(scene, all);
    expect_test(coupled.began, coupled.now);
  }
}

TEST(TestSamplesTest, OfTheCompressedFlowAreThoseOfItsWeights) {
  const TaskData data = tests::tasks()[2].data;
  const Task train(data), test(test_samples(data));
  const auto flow =
      make_reduced_flow(train, draw_start(StartLaw::gaussian, 40, 5, data.words, {0.3, 0.3, 0.4, 0.5}, 1));
  ASSERT_LT(flow->blocks().front().rows, 40);
  const Numbers x = tests::away_from_start(*flow);
  Moment moment(*flow);
  moment.set(1, x);
  const Model<double> model(test);
  EXPECT_NEAR(moment.forward_of(model).loss,
              static_cast<double>(tests::equation1(test.data(), flow->weights(x).cast<long double>()).loss), rounding);
  // What was computed belongs to one moment and one model.
  const Numbers x0 = flow->initial_state();
  const double later = moment.forward_of(model).loss;
  moment.set(0, x0);
  EXPECT_NE(moment.forward_of(model).loss, later);
  const Model<double> own(train);
  EXPECT_EQ(moment.forward_of(own).loss, moment.forward().loss);
  moment.set(1, x);
  EXPECT_EQ(moment.forward_of(model).loss, later);
}

TEST(TestSamplesTest, ArePartOfNothingElse) {
  const TaskData data = tests::tasks()[0].data;
  const Task test(test_samples(data));
  Scene scene(tests::case_of(data));
  const Observables with(scene.start, {0}, {}, &test), without(scene.start, {0});
  Numbers first(with.size()), second(without.size());
  with.evaluate(scene.now, first);
  without.evaluate(scene.now, second);
  first.resize(second.size());
  EXPECT_EQ(first, second);
  EXPECT_EQ(with.size(row("loss_test")), 1U);
  EXPECT_EQ(without.size(row("loss_test")), 0U);
  EXPECT_THAT(message_of([&] { without.scalar("accuracy_test"); }),
              HasSubstr("quantity 'accuracy_test' needs test samples, and there are none; set task.test_samples"));
}

/// The ends of the spectrum of the Hessian in all parameters, put together from products with unit vectors.
std::pair<double, double> ends_of_dense_spectrum(const FieldDerivatives& field, const Numbers& x) {
  const Index n = field.dimension() - 1;  // without the integrated power
  Matrix<double> H(n, n);
  Numbers unit(x.size()), f_v(x.size());
  for (Index j = 0; j < n; ++j) {
    unit[static_cast<std::size_t>(j)] = 1;
    field.along(x, unit, f_v);
    unit[static_cast<std::size_t>(j)] = 0;
    H.col(j) = -Eigen::Map<const Vector<double>>(f_v.data(), n);
  }
  const Vector<double> spectrum = Eigen::SelfAdjointEigenSolver<Matrix<double>>(H).eigenvalues();
  return {spectrum.maxCoeff(), spectrum.minCoeff()};
}

TEST(CurvatureObservablesTest, AreTheEndsOfTheDenseSpectrumInEveryLayout) {
  for (const tests::NamedTask& task : tests::tasks()) {
    SCOPED_TRACE(task.name);
    const Task train(task.data);
    const Weights<double> start = draw_start(StartLaw::gaussian, 12, 3, task.data.words, {0.5, 0.5, 0.5, 0.5}, 4);
    const auto full = make_full_flow(train, start), reduced = make_reduced_flow(train, start),
               wide = make_reduced_flow(train, start, {}, Coordinates::full_width);
    const auto dense = FieldDerivatives::of_full_flow(train, start);
    const auto [largest, smallest] = ends_of_dense_spectrum(dense, full->initial_state());
    for (const auto* flow : {full.get(), reduced.get(), wide.get()}) {
      const Numbers x = flow->initial_state();
      Moment moment(*flow), again(*flow);
      moment.set(0, x);
      const Observables observables(moment, {0}, {"sharpness", "curvature_min"});
      // The bar of 1e-8 is of the residual; an eigenvalue that stands apart is good to its square.
      expect_near(values_of(observables, moment, "sharpness"), {largest}, 1e-10);
      expect_near(values_of(observables, moment, "curvature_min"), {smallest}, 1e-10);
      EXPECT_EQ(&moment.field(), &moment.field());
      EXPECT_EQ(moment.field().dimension(), std::ssize(x));
      // An event's function knows nothing of what was asked before: the same bits from any moment, in any order.
      const Numbers elsewhere = tests::away_from_start(*flow);
      again.set(3, elsewhere);
      const auto sharpness = observables.scalar("sharpness");
      EXPECT_NE(sharpness(again), sharpness(moment));
      again.set(7, x);
      EXPECT_EQ(sharpness(again), sharpness(moment));
    }
  }
}

TEST(CurvatureObservablesTest, NeedWeights) {
  Scene scene(tests::case_of(tests::tasks()[0].data));
  Coupled coupled(scene);
  EXPECT_THAT(message_of([&] {
                Observables(coupled.began, {0}, {"attention", "sharpness"});
              }),
              HasSubstr("observable 'sharpness' needs weights, and this flow has inner products only; choose"));
  const Observables observables(coupled.began, {0}, {"attention"});
  EXPECT_THAT(message_of([&] { observables.scalar("curvature_min"); }),
              HasSubstr("quantity 'curvature_min' needs weights"));
  EXPECT_THROW(coupled.now.field(), std::logic_error);
}

TEST(RequestsTest, AreRecordedInTheTablesOrder) {
  Scene scene(tests::case_of(tests::tasks()[0].data));
  const auto names = [](const Observables& observables) {
    std::vector<std::string> result;
    for (const Observable* recorded : observables.rows()) result.push_back(recorded->name);
    return result;
  };
  const Observables plain(scene.start, {2, 0, 3}),
      more(scene.start, {2, 0, 3}, {"stable_rank", "attention"});  // in any order
  std::vector<std::string> expected = names(plain);
  for (const std::string& name : observables_on_request()) EXPECT_FALSE(std::ranges::count(expected, name)) << name;
  expected.insert(expected.end(), {"attention", "stable_rank"});
  EXPECT_EQ(names(more), expected);
  EXPECT_EQ(more.size(), plain.size() + 4 * 4 * 4 + 4);
  Numbers all(more.size()), one_by_one;
  more.evaluate(scene.now, all);
  for (const std::string& name : expected)
    for (const double value : values_of(more, scene.now, name)) one_by_one.push_back(value);
  for (std::size_t i = 0; i < all.size(); ++i)
    EXPECT_TRUE(all[i] == one_by_one[i] || (std::isnan(all[i]) && std::isnan(one_by_one[i]))) << i;

  // Any row can be a quantity, recorded or not.
  const Numbers attention = values_of(plain, scene.now, "attention");
  EXPECT_EQ(plain.scalar("attention[I2,common,target1]")(scene.now), attention[(4 * 1 + 2) * 4 + 0]);
  EXPECT_EQ(plain.scalar("G_filler[max]")(scene.now), values_of(plain, scene.now, "G_filler")[3]);
  EXPECT_EQ(plain.scalar("norm[W_V]")(scene.now), values_of(plain, scene.now, "norm")[1]);
  EXPECT_EQ(plain.scalar("alignment[4]")(scene.now), values_of(plain, scene.now, "alignment")[2]);
  EXPECT_THAT(message_of([&] { plain.scalar("attention[I2,mu_3,filler]"); }),
              HasSubstr("no key_role 'mu_3'; there are: target1, target2, common, filler"));
  EXPECT_THAT(message_of([&] { plain.scalar("G_filler[median]"); }),
              HasSubstr("no statistic 'median'; there are: mean, deviation, min, max"));
  EXPECT_THAT(message_of([&] { Observables(scene.start, {0}, {"loss"}); }),
              HasSubstr("observable 'loss' is none that is recorded on request; these are: attention, "));
}

}  // namespace
}  // namespace gradflow
