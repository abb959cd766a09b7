// replay FOLDER...: what libFuzzer does first, for any compiler: gives each file of a corpus to the target, once.
#include "fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i)
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) files.push_back(entry.path());
  gradflow::fuzz::require(!files.empty(), "replay FOLDER...: the folders hold inputs");
  std::ranges::sort(files);
  for (const auto& path : files) {
    std::printf("%s\n", path.c_str());  // so that the last line names the input that ends the program
    std::fflush(stdout);
    const std::vector<std::uint8_t> bytes = gradflow::fuzz::read_bytes(path);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
}
