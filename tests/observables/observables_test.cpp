#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "observables/scene.hpp"
#include "tasks/message_of.hpp"

namespace gradflow {
namespace {

using testing::HasSubstr;
using tests::message_of;
using tests::Scene;

// Sums of some hundred terms of order 1, each rounded a few times; where a small difference is formed, its terms are of
// order 1.
constexpr double rounding = 1000 * std::numeric_limits<double>::epsilon();

std::vector<double> values_of(const Scene& scene, Moment& moment, const std::string& name) {
  for (const Observable& row : observable_table())
    if (row.name == name) {
      std::vector<double> values(scene.observables.size(row));
      row.evaluate(moment, scene.observables.context(), values);
      return values;
    }
  ADD_FAILURE() << "no observable " << name;
  return {};
}

void expect_values(Scene& scene, const std::string& name, const std::vector<double>& expected) {
  const std::vector<double> values = values_of(scene, scene.now, name);
  ASSERT_EQ(values.size(), expected.size()) << name;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(expected[i]))
      EXPECT_TRUE(std::isnan(values[i])) << name << ' ' << i;
    else
      EXPECT_NEAR(values[i], expected[i], rounding * std::max(1.0, std::abs(expected[i]))) << name << ' ' << i;
  }
}

std::vector<std::pair<tests::NamedTask, Rates<double>>> situations() {
  std::vector<std::pair<tests::NamedTask, Rates<double>>> result;
  for (const tests::NamedTask& task : tests::tasks())
    for (const Rates<double>& rates : {Rates<double>{}, Rates<double>{0.5, 2, 3, 0.25}, Rates<double>{0, 1, 1, 0}})
      result.emplace_back(task, rates);
  return result;
}

TEST(ObservablesTest, TrainingObservablesAgreeWithEquation1) {
  for (const auto& [task, rates] : situations())
    for (const bool full : {false, true}) {
      SCOPED_TRACE(task.name);
      Scene scene(tests::case_of(task.data, rates, full));
      const TaskData& data = scene.data();
      const auto& z = scene.model.margin;
      expect_values(scene, "loss", {static_cast<double>(scene.model.loss)});
      expect_values(scene, "margin_min", {static_cast<double>(*std::min_element(z.begin(), z.end()))});
      const auto correct = std::count_if(z.begin(), z.end(), [](long double v) { return v > 0; });
      expect_values(scene, "accuracy", {static_cast<double>(correct) / static_cast<double>(z.size())});

      std::vector<double> count(data.class_names.size()), loss = count, gradient = count;
      for (std::size_t i = 0; i < z.size(); ++i) {
        const auto c = static_cast<std::size_t>(data.sample_class[i]);
        ++count[c];
        loss[c] += static_cast<double>(scene.model.sample_loss[i]);
        gradient[c] += static_cast<double>(scene.model.residual[i]);
      }
      for (std::size_t c = 0; c < count.size(); ++c) loss[c] /= count[c];  // NaN for an empty class
      expect_values(scene, "loss_class", loss);
      expect_values(scene, "gradient_sum", gradient);

      long double shift = 0;  // of a word, so over all its places in the sample
      for (std::size_t i = 0; i < z.size(); ++i)
        for (Index q = 0; q < std::ssize(data.tokens[i]); ++q)
          for (const Index word : data.tokens[i]) {
            long double change = 0;
            for (std::size_t k = 0; k < data.tokens[i].size(); ++k)
              if (data.tokens[i][k] == word)
                change += scene.model.attention[i](static_cast<Index>(k), q) -
                          scene.model0.attention[i](static_cast<Index>(k), q);
            shift = std::max(shift, std::abs(change));
          }
      expect_values(scene, "attention_shift", {static_cast<double>(shift)});
    }
}

TEST(ObservablesTest, MatrixObservablesAgreeWithTheWeights) {
  for (const auto& [task, rates] : situations())
    for (const bool full : {false, true}) {
      SCOPED_TRACE(task.name);
      Scene scene(tests::case_of(task.data, rates, full));
      const Weights<double>& w = scene.weights;
      const Vector<double> u = w.W.transpose() * w.a, G = w.W_V.transpose() * u;
      const double M = static_cast<double>(w.hidden());
      std::vector<double> values, B, Gamma;
      for (const Index k : {2, 0, 3}) {
        values.push_back(G[k]);
        for (const Index l : {2, 0, 3}) {
          B.push_back(w.W_K.col(k).dot(w.W_Q.col(l)));
          Gamma.push_back(w.W_V.col(k).dot(w.W_V.col(l)));
        }
      }
      expect_values(scene, "G", values);
      expect_values(scene, "B", B);
      expect_values(scene, "Gamma", Gamma);
      expect_values(scene, "U", {u.squaredNorm()});

      const tests::Parts<double> dx = tests::parts(*scene.flow, scene.flow.derivative(scene.x));
      expect_values(
          scene, "power",
          {dx.head.squaredNorm() / (full ? 1 : M), dx.W_V.squaredNorm(), dx.W_K.squaredNorm(), dx.W_Q.squaredNorm()});
    }
}

TEST(ObservablesTest, DriftsAgreeWithTheirLaws) {
  for (const auto& [task, rates] : situations()) {
    SCOPED_TRACE(task.name);
    Scene scene(tests::case_of(task.data, rates));
    const Weights<double>&w = scene.weights, &w0 = scene.weights0;
    const auto U = [](const Weights<double>& v) { return (v.W.transpose() * v.a).squaredNorm(); };
    const double M = static_cast<double>(w.hidden());
    const auto drift = [](double X, double X0, double rate_x, double Y, double Y0, double rate_y) {
      if (rate_x > 0 && rate_y > 0)
        return (X / rate_x - Y / rate_y - X0 / rate_x + Y0 / rate_y) / std::max(X / rate_x, Y / rate_y);
      const double x = rate_x > 0 ? X / rate_x : X, y = rate_y > 0 ? Y / rate_y : Y;
      return ((rate_x > 0 ? 0 : std::abs(X - X0)) + (rate_y > 0 ? 0 : std::abs(Y - Y0))) / std::max(x, y);
    };
    expect_values(scene, "drift_vw",
                  {drift(U(w), U(w0), rates.W, M * w.W_V.squaredNorm(), M * w0.W_V.squaredNorm(), rates.W_V)});
    expect_values(scene, "drift_kq",
                  {drift(w.W_K.squaredNorm(), w0.W_K.squaredNorm(), rates.W_K, w.W_Q.squaredNorm(),
                         w0.W_Q.squaredNorm(), rates.W_Q)});
    const double loss = static_cast<double>(scene.model.loss), loss0 = static_cast<double>(scene.model0.loss);
    expect_values(scene, "energy_defect", {(loss + scene.x.back() - loss0) / loss0});
    for (const char* name : {"drift_vw", "drift_kq", "energy_defect", "attention_shift"})
      EXPECT_EQ(values_of(scene, scene.start, name), std::vector<double>{0}) << name;
  }
}

TEST(ObservablesTest, TableIsWhatTheFileDocuments) {
  std::vector<std::string> names;
  Scene scene(tests::case_of(tests::tasks()[0].data));
  std::size_t total = 0;
  for (const Observable& row : observable_table()) {
    names.push_back(row.name);
    EXPECT_FALSE(row.unit.empty() || row.long_name.empty() || row.source.empty()) << row.name;
    auto dimensions = row.dimensions;
    std::sort(dimensions.begin(), dimensions.end());
    EXPECT_EQ(std::unique(dimensions.begin(), dimensions.end()), dimensions.end()) << row.name;
    if (!row.on_request && !row.needs_test) total += scene.observables.size(row);
  }
  EXPECT_THAT(names,
              testing::ElementsAre("loss", "accuracy", "margin_min", "loss_class", "gradient_sum", "G", "B", "Gamma",
                                   "U", "attention_shift", "power", "drift_vw", "drift_kq", "energy_defect", "G_filler",
                                   "alignment", "power_share", "norm", "loss_test", "accuracy_test", "attention",
                                   "loss_class_slope", "stable_rank", "sharpness", "curvature_min"));
  EXPECT_EQ(scene.observables.size(), total);

  std::vector<double> all(total), one_by_one;
  scene.observables.evaluate(scene.now, all);
  for (const Observable* row : scene.observables.rows())
    for (const double value : values_of(scene, scene.now, row->name)) one_by_one.push_back(value);
  EXPECT_EQ(all, one_by_one);
  EXPECT_THAT(scene.observables.labels("matrix"), testing::ElementsAre("W", "W_V", "W_K", "W_Q"));
  EXPECT_THAT(scene.observables.labels("class"), testing::ElementsAre("I1", "I2", "I3", "I4"));
  EXPECT_THAT(scene.observables.labels("key"), testing::ElementsAre("mu_3", "mu_1", "mu_4"));
}

TEST(ScalarTest, PicksOneComponent) {
  Scene scene(tests::case_of(tests::tasks()[0].data));  // tracked: words 3, 1, 4
  const auto scalar = [&](const char* quantity) { return scene.observables.scalar(quantity)(scene.now); };
  const auto values = [&](const char* name) { return values_of(scene, scene.now, name); };
  EXPECT_EQ(scalar("loss"), values("loss")[0]);
  EXPECT_EQ(scalar("G[3]"), values("G")[0]);
  EXPECT_EQ(scalar("G[4]"), values("G")[2]);
  EXPECT_EQ(scalar("G[mu_1]"), values("G")[1]);
  EXPECT_EQ(scalar("B[1,4]"), values("B")[5]);  // key 1, query 4
  EXPECT_EQ(scalar("B[ 4 , 1 ]"), values("B")[7]);
  EXPECT_EQ(scalar("Gamma[3,4]"), values("Gamma")[2]);
  EXPECT_EQ(scalar("loss_class[I2]"), values("loss_class")[1]);
  EXPECT_EQ(scalar("gradient_sum[I4]"), values("gradient_sum")[3]);
  EXPECT_EQ(scalar("power[W_K]"), values("power")[2]);
  const auto shift = scene.observables.scalar("attention_shift");
  EXPECT_GT(shift(scene.now), 0);
  EXPECT_EQ(shift(scene.start), 0);  // the same function at another moment
}

TEST(ScalarTest, SaysWhatIsWrong) {
  Scene scene(tests::case_of(tests::tasks()[0].data));
  const auto message = [&](const char* quantity) { return message_of([&] { scene.observables.scalar(quantity); }); };
  EXPECT_THAT(message("los"), HasSubstr("unknown quantity 'los'; there are: loss, accuracy, margin_min, loss_class"));
  EXPECT_THAT(message(""), HasSubstr("unknown quantity"));
  EXPECT_THAT(message("G"), HasSubstr("G has 1 indices [word], but 0 were given"));
  EXPECT_THAT(message("loss[1]"), HasSubstr("loss has 0 indices, but 1 were given"));
  EXPECT_THAT(message("B[1]"), HasSubstr("B has 2 indices [key, query], but 1 were given"));
  EXPECT_THAT(message("G[3,]"), HasSubstr("2 were given"));
  EXPECT_THAT(message("G[3"), HasSubstr("the bracket does not close"));
  EXPECT_THAT(message("G[3]x"), HasSubstr("the bracket does not close"));
  EXPECT_THAT(message("G[2]"), HasSubstr("no tracked word '2'; there are: 3, 1, 4 (track more with save.words)"));
  EXPECT_THAT(message("G[]"), HasSubstr("no tracked word ''"));
  EXPECT_THAT(message("loss_class[I9]"), HasSubstr("no class 'I9'; there are: I1, I2, I3, I4"));
  EXPECT_THAT(message("power[W_X]"), HasSubstr("no matrix 'W_X'; there are: W, W_V, W_K, W_Q"));
  EXPECT_THAT(message_of([] {
                Scene bad(tests::case_of(tests::tasks()[0].data), {0, 7});
              }),
              HasSubstr("tracked word 8 lies outside the vocabulary of 7 words"));
}

}  // namespace
}  // namespace gradflow
