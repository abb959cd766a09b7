#include <gradflow/descent/update_rules.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "tasks/message_of.hpp"

namespace gradflow {
namespace {

using testing::HasSubstr;
using tests::message_of;
using Given = std::vector<std::pair<std::string_view, double>>;

TEST(UpdateRulesTest, AreOneTableThatIsFoundByName) {
  std::set<std::string_view> names;
  for (const UpdateRule& rule : update_rules()) {
    SCOPED_TRACE(rule.name);
    EXPECT_TRUE(names.insert(rule.name).second);
    EXPECT_EQ(&find_update_rule(rule.name), &rule);
    EXPECT_FALSE(rule.description.empty());
    EXPECT_FALSE(rule.source.empty());
    const Update update(rule.name, 0.1);
    EXPECT_EQ(&update.rule(), &rule);
    for (const RuleParameter& parameter : rule.parameters) {
      EXPECT_TRUE(parameter.allows(parameter.initial));
      EXPECT_FALSE(parameter.allows(std::numeric_limits<double>::quiet_NaN()));
      EXPECT_FALSE(parameter.allows(std::numeric_limits<double>::infinity()));
      EXPECT_EQ(update.parameter(parameter.name), parameter.initial);
    }
  }
  EXPECT_EQ(names, (std::set<std::string_view>{"gd", "heavy-ball", "nesterov", "adam", "rmsprop", "sign", "sgd"}));
  EXPECT_EQ(update_rules().front().name, "gd");
}

TEST(UpdateRulesTest, HaveTheDefaultsOfTheirSources) {
  EXPECT_EQ(Update("heavy-ball", 1).parameter("beta"), 0.9);
  EXPECT_EQ(Update("nesterov", 1).parameter("beta"), 0.9);
  EXPECT_EQ(Update("adam", 1).parameter("beta1"), 0.9);
  EXPECT_EQ(Update("adam", 1).parameter("beta2"), 0.999);
  EXPECT_EQ(Update("adam", 1).parameter("epsilon"), 1e-8);
  EXPECT_EQ(Update("rmsprop", 1).parameter("alpha"), 0.99);
  EXPECT_EQ(Update("rmsprop", 1).parameter("epsilon"), 1e-8);
}

TEST(UpdateRulesTest, TakeTheParametersGiven) {
  const Update adam("adam", 0.25, Given{{"epsilon", 1e-4}, {"beta1", 0}});
  EXPECT_EQ(adam.rate(), 0.25);
  EXPECT_EQ(adam.parameter("beta1"), 0);
  EXPECT_EQ(adam.parameter("beta2"), 0.999);
  EXPECT_EQ(adam.parameter("epsilon"), 1e-4);
}

// On L = lambda x^2 / 2 a rule is a linear recursion: below the limit it dies away, above it grows.
TEST(UpdateRulesTest, StabilityLimitIsThatOfTheRecursion) {
  const auto grows = [](const Update& update, double eta_lambda) {
    const double beta = update.rule().parameters.empty() ? 0 : update.parameter("beta");
    const bool nesterov = update.rule().kind == UpdateRule::Kind::nesterov;
    double x = 1, v = 0;
    for (int k = 0; k < 20000; ++k) {
      const double g = -x;
      v = beta * v + g;
      x += eta_lambda * (nesterov ? g + beta * v : v);
      if (std::abs(x) > 1e6) return true;
    }
    return false;
  };
  for (const char* rule : {"gd", "heavy-ball", "nesterov"})
    for (const double beta : {0.0, 0.3, 0.9}) {
      if (beta > 0 && rule == std::string_view("gd")) continue;
      const Update update = rule == std::string_view("gd") ? Update(rule, 1) : Update(rule, 1, Given{{"beta", beta}});
      const double limit = update.stability_limit().value();
      EXPECT_FALSE(grows(update, 0.99 * limit)) << rule << beta;
      EXPECT_TRUE(grows(update, 1.01 * limit)) << rule << beta;
    }
  EXPECT_EQ(Update("sgd", 1).stability_limit(), 2);
  for (const char* rule : {"adam", "rmsprop", "sign"}) EXPECT_FALSE(Update(rule, 1).stability_limit());
}

TEST(UpdateRulesTest, RefuseWhatTheyCannotUse) {
  EXPECT_THAT(message_of([] { Update("sgdm", 0.1); }),
              AllOf(HasSubstr("unknown update rule 'sgdm'"), HasSubstr("gd, heavy-ball, nesterov, adam")));
  for (const double rate : {0.0, -0.1, std::nan(""), std::numeric_limits<double>::infinity()})
    EXPECT_THAT(message_of([&] { Update("adam", rate); }), HasSubstr("adam: the rate must be positive"));
  EXPECT_THAT(message_of([] {
                Update("adam", 0.1, Given{{"beta", 0.5}});
              }),
              AllOf(HasSubstr("adam: unknown parameter 'beta'"), HasSubstr("beta1, beta2, epsilon")));
  EXPECT_THAT(message_of([] { Update("gd", 0.1, Given{{"beta", 0.5}}); }), HasSubstr("there are: none"));
  EXPECT_THAT(message_of([] { Update("gd", 0.1).parameter("batch"); }), HasSubstr("unknown parameter 'batch'"));
  for (const double beta : {1.0, -0.1, std::nan("")})
    EXPECT_THAT(message_of([&] {
                  Update("heavy-ball", 0.1, Given{{"beta", beta}});
                }),
                HasSubstr("heavy-ball: beta must be in [0, 1), but is"));
  EXPECT_THAT(message_of([] { Update("rmsprop", 0.1, Given{{"epsilon", 0}}); }), HasSubstr("epsilon must be positive"));
  for (const double batch : {0.0, 2.5})
    EXPECT_THAT(message_of([&] { Update("sgd", 0.1, Given{{"batch", batch}}); }), HasSubstr("a whole number from 1"));
}

TEST(UpdateRulesTest, AStepStandsAtItsTime) {
  for (const char* rule : {"gd", "sgd", "adam", "rmsprop", "sign"}) EXPECT_EQ(Update(rule, 0.5).time(3), 1.5);
  for (const char* rule : {"heavy-ball", "nesterov"}) {
    EXPECT_EQ(Update(rule, 0.5, Given{{"beta", 0.75}}).time(3), 6);
    EXPECT_EQ(Update(rule, 0.5, Given{{"beta", 0}}).time(3), 1.5);
  }
  for (const UpdateRule& rule : update_rules())
    EXPECT_EQ(rule.flow_time, rule.kind != UpdateRule::Kind::adam && rule.kind != UpdateRule::Kind::rmsprop &&
                                  rule.kind != UpdateRule::Kind::sign);
}

TEST(UpdateRulesTest, StepsUntilATimeAreCountedWithoutRounding) {
  for (const char* rule : {"gd", "heavy-ball"})
    for (const double rate : {0.1, 0.01, 0.3, 1.0 / 3, 7e-5}) {
      const Update update(rule, rate);
      for (Index k = 0; k < 3000; ++k) {
        ASSERT_EQ(update.steps_until(update.time(k)), k) << rule << ' ' << rate;
        ASSERT_EQ(update.steps_until(update.time(k) + 0.999 * update.time(1)), k) << rule << ' ' << rate;
      }
    }
  EXPECT_EQ(Update("gd", 0.1).steps_until(0.3), 3);  // 0.3 / 0.1 is less than 3
  EXPECT_EQ(Update("gd", 0.01).steps_until(300), 30'000);
  for (const double t : {-1.0, 1e300, std::nan("")})
    EXPECT_THAT(message_of([&] { Update("gd", 0.01).steps_until(t); }), HasSubstr("whole number below 2^53"));
}

}  // namespace
}  // namespace gradflow
