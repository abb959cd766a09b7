#include "cli/format.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace gradflow::cli {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

TEST(WithError, ShowsTheDigitsThatTheErrorSupportsPlusOne) {
  EXPECT_EQ(with_error(6.901586, 2.6e-5), "6.90159(3)");
  EXPECT_EQ(with_error(6.901586, 3e-5), "6.90159(3)");
  EXPECT_EQ(with_error(3.84644, 0.2), "3.8(2)");
  EXPECT_EQ(with_error(3.84644, 2), "4(2)");
  EXPECT_EQ(with_error(0, 0.002), "0.000(2)");
  EXPECT_EQ(with_error(-6.5, 0.01), "-6.50(1)");
}

TEST(WithError, NeverUnderstatesTheError) {
  EXPECT_EQ(with_error(6.901586, 1.01e-5), "6.90159(2)");
  EXPECT_EQ(with_error(6.901586, 9.6e-5), "6.9016(1)") << "ten of a digit are one of the digit before";
  EXPECT_EQ(with_error(0.5, 30), "0.5 +- 3e+01");
}

TEST(WithError, UsesPowersOfTenWhereFixedDigitsWouldMislead) {
  EXPECT_EQ(with_error(123456789, 4e3), "1.23457(4)e+08");
  EXPECT_EQ(with_error(12345, 200), "1.23(2)e+04");
  EXPECT_EQ(with_error(1.5e-7, 2e-9), "1.50(2)e-07");
  EXPECT_EQ(with_error(4.5e5, 0.1), "450000.0(1)");
}

TEST(WithError, ClaimsNoMoreThanDoublesHold) {
  EXPECT_EQ(with_error(6.5, 1e-30), "6.500000000000(7)");
  EXPECT_EQ(with_error(6.5, 0), "6.500000000000(7)");
  EXPECT_EQ(with_error(0, 0), "0");
}

TEST(WithError, PutsNoBarWhereNoneIsKnown) {
  EXPECT_EQ(with_error(6.901586, nan), "6.90159");
  EXPECT_EQ(with_error(nan, 0.1), "nan");
  EXPECT_EQ(with_error(450000, std::numeric_limits<double>::infinity()), "450000");
}

TEST(Duration, ReadsAsPeopleSayIt) {
  EXPECT_EQ(duration(0), "0.00 s");
  EXPECT_EQ(duration(0.346), "0.35 s");
  EXPECT_EQ(duration(9.999), "10 s") << "not 10.00 s";
  EXPECT_EQ(duration(59.4), "59 s");
  EXPECT_EQ(duration(59.6), "1 min 00 s") << "not 60 s";
  EXPECT_EQ(duration(125), "2 min 05 s");
  EXPECT_EQ(duration(3599.6), "1 h 00 min");
  EXPECT_EQ(duration(3 * 3600 + 4 * 60), "3 h 04 min");
  EXPECT_EQ(duration(2 * 86400 + 3 * 3600), "2 d 03 h");
}

TEST(Duration, AdmitsWhatItDoesNotKnow) {
  EXPECT_EQ(duration(nan), "?");
  EXPECT_EQ(duration(-1), "?");
  EXPECT_EQ(duration(std::numeric_limits<double>::infinity()), "?");
}

TEST(Table, LinesUpCharactersNotBytes) {
  EXPECT_EQ(table({{"Straße", "1"}, {"mu", "2", "x"}}), "Straße  1\nmu      2  x\n");
  EXPECT_EQ(table({{"a", ""}, {}}), "a\n\n");
}

}  // namespace
}  // namespace gradflow::cli
