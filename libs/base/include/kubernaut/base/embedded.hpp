#pragma once

#include <span>
#include <string_view>

namespace kn {

/// A file that kn_embed (cmake/KnEmbed.cmake) put into the binary.
struct EmbeddedFile {
    std::string_view path;  ///< relative to the BASE given there
    std::string_view content;
};

}  // namespace kn
