// Theorem 3.2: Phase 2, as signs of derivatives throughout.
#include <fmt/format.h>

#include <cmath>

#include "analysis/claims_specs.hpp"

namespace gradflow {
namespace {

using Row = std::span<const double>;
using namespace watched;

/// A scalar that is to rise (sign +1) or fall (-1) over Phase 2.
struct Monotone {
  const char *id, *name;
  std::size_t scalar, derivative;
  int sign, item;
};

const std::array<Monotone, 9> monotones{{
    {"B21", "B(2,1)", B + 3, dB21, +1, 1},
    {"B12", "B(1,2)", B + 1, dB12, +1, 1},
    {"B31", "B(3,1)", B + 6, dB31, -1, 1},
    {"B32", "B(3,2)", B + 7, dB32, -1, 1},
    {"Gamma12", "Gamma(1,2)", Gamma + 1, dGamma12, +1, 2},
    {"Gamma11", "Gamma(1,1)", Gamma, dGamma11, +1, 2},
    {"Gamma22", "Gamma(2,2)", Gamma + 3, dGamma22, +1, 2},
    {"Gamma13", "Gamma(1,3)", Gamma + 2, dGamma13, -1, 3},
    {"Gamma23", "Gamma(2,3)", Gamma + 4, dGamma23, -1, 3},
}};

void monotone(const Evidence& e, Claim& claim, const Monotone& m) {
  const auto rate = [&](Row row) { return m.sign * row[m.derivative]; };
  const ClaimPath::Row begin = row_at(e, e.T1()), end = row_at(e, e.T2());
  decide(claim, e, rate, e.T1(), e.T2());
  claim.measured = end[m.scalar] - begin[m.scalar];
  claim.values = {{"rate at T1", begin[m.derivative]},
                  {"rate at T2", end[m.derivative]},
                  {"least rate in its direction", least(e, rate, e.T1(), e.T2()).value}};
}

/// A combination of G(1), G(2), G(3) that is to stay positive and of order 1. From above the order is not judged: where
/// the loss goes to zero like 1/t, values grow like log t; the largest is told.
struct Combination {
  const char *id, *name;
  std::array<int, 3> weights;
};

const std::array<Combination, 6> combinations{{{"G1", "G(1)", {1, 0, 0}},
                                               {"G2", "G(2)", {0, 1, 0}},
                                               {"-G3", "-G(3)", {0, 0, -1}},
                                               {"G123", "G(1) + G(2) + G(3)", {1, 1, 1}},
                                               {"-G13", "-(G(1) + G(3))", {-1, 0, -1}},
                                               {"-G23", "-(G(2) + G(3))", {0, -1, -1}}}};

void of_order_one(const Evidence& e, Claim& claim, const Combination& c) {
  const auto value = [&](Row row) { return c.weights[0] * row[G1] + c.weights[1] * row[G2] + c.weights[2] * row[G3]; };
  const double of_order_1 = 1 / e.options.same_order;
  decide(
      claim, e, [&](Row row) { return value(row) - of_order_1; }, e.T1(), e.T2());
  const auto [t, smallest] = least(e, value, e.T1(), e.T2());
  claim.measured = smallest;
  claim.constant = of_order_1;
  claim.constant_name = "least of order 1";
  claim.values = {{"measured at", t},
                  {"largest", greatest(e, value, e.T1(), e.T2()).value},
                  {"at T1", value(row_at(e, e.T1()))},
                  {"at T2", value(row_at(e, e.T2()))}};
}

}  // namespace

ClaimSpecs theorem32_specs() {
  ClaimSpecs all;
  for (const Monotone& m : monotones)
    all.push_back({fmt::format("theorem-3.2-{}-{}", m.item, m.id), fmt::format("Theorem 3.2 ({})", m.item),
                   fmt::format("{} {} over Phase 2; measured: its change", m.name, m.sign > 0 ? "rises" : "falls"),
                   Needs::phase2, [m](const Evidence& e, Claim& claim) { monotone(e, claim, m); }});
  for (const Combination& c : combinations)
    all.push_back(
        {fmt::format("theorem-3.2-4-{}", c.id), "Theorem 3.2 (4)",
         fmt::format(
             "{} stays positive and of order 1 over Phase 2, but for its growth like log t; measured: its least "
             "value",
             c.name),
         Needs::phase2, [c](const Evidence& e, Claim& claim) { of_order_one(e, claim, c); }});
  return all;
}

}  // namespace gradflow
