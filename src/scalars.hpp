#pragma once
// The scalars for which model and flows are instantiated: double, and 113-bit floating point for tests against exact
// solutions.
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <boost/multiprecision/eigen.hpp>

namespace gradflow {
using Quad = boost::multiprecision::cpp_bin_float_quad;
}
