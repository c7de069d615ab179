#pragma once

#include <string>

#include "kubernaut/kube/list_decoder.hpp"

namespace kn::kube {

/// What the server leaves out of the items of a list.
struct ListNames {
    std::string kind, api_version;
};

/// The items of a whole list as packed objects, made from the text without values in between; gives the rest of the list. `text` may be enlarged.
Result<json::Value> pack_list(std::string& text, const ListNames& names, ItemSink& items);

}  // namespace kn::kube
