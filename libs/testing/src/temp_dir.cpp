#include "kubernaut/testing/temp_dir.hpp"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace kn::testing {

TempDir::TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "kubernaut-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
}

TempDir::~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

}  // namespace kn::testing
