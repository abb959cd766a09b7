#pragma once
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace gradflow::tests {

/// The message with which `call` refuses its input; fails the test if it does not.
template <class Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return {};
}

}  // namespace gradflow::tests
