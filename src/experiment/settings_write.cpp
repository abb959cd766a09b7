#include "experiment/settings_keys.hpp"

namespace gradflow::settings {
namespace {

/// Writes one TOML table and the tables inside it.
class Writer : public Keys {
 public:
  Writer(std::string path, std::string& text) : path_(std::move(path)), text_(text) {}

  void value(const char* key, Value target, const Rule&) override {
    text_ += key;
    text_ += " = " + std::visit([](const auto* value) { return toml_text(*value); }, target) + '\n';
  }
  void section(const char* key, const Body& body, const std::vector<std::pair<std::string, Body>>&) override {
    table("[", path_ + key, "]", body);
  }
  bool present(const char*, bool has_value) override { return has_value; }
  std::size_t items(const char*, std::size_t current) override { return current; }
  void item(const char* key, std::size_t, const Body& body) override { table("[[", path_ + key, "]]", body); }
  void position(std::string&) override {}

 private:
  void table(const char* open, const std::string& name, const char* close, const Body& body) {
    text_ += '\n' + (open + name) + close + '\n';
    Writer inside(name + ".", text_);
    body(inside);
  }

  std::string path_;  // "" or "solver."
  std::string& text_;
};

}  // namespace

std::string to_toml(const Experiment& experiment) {
  std::string text;
  Writer writer("", text);
  auto copy = experiment;  // the one description of reading and writing takes what it may change
  describe(writer, copy, {});
  return text;
}

}  // namespace gradflow::settings
