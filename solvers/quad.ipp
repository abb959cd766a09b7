// Every template of this library is instantiated for double and for quadruple precision (113 bits), in its .cpp file.
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <boost/multiprecision/eigen.hpp>

namespace solvers {
using Quad = boost::multiprecision::cpp_bin_float_quad;
}
