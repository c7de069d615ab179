#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/request.hpp"

namespace kn::kube {

/// Reason of the error when a body is not what it should be: asking again gives the same.
inline constexpr std::string_view invalid_body = "InvalidBody";

/// Takes the objects of a list one after the other, so that neither the body nor all of its objects need be in memory at a time.
class ItemSink {
public:
    virtual ~ItemSink() = default;
    /// What may be done with an item: `kept` ones are the taker's to move and keep. `scratch` ones lie in memory that the next item overwrites: they are
    /// only read, and a part that is kept is copied with json::Value(part, {}), for a plain copy would stay in that memory.
    enum class Memory { kept, scratch };
    [[nodiscard]] virtual Memory memory() const { return Memory::kept; }
    virtual void add(json::Value& item) = 0;
    /// An answer broke off and comes again: only the first `count` items were true.
    virtual void rewind(std::size_t count) = 0;
};

/// The bytes of a list, cut anywhere → its items, as they come. Complexity: one pass, and memory for one item.
class ListDecoder final : public BodySink {
public:
    explicit ListDecoder(ItemSink& items);
    ~ListDecoder() override;
    void begin() override;
    Result<> data(std::string_view bytes) override;
    /// The list without its items: kind, metadata. An error when the text was not whole.
    Result<json::Value> finish();
    /// No body has begun: the transport knows no sinks.
    [[nodiscard]] bool untouched() const;

private:
    struct Parser;
    std::unique_ptr<Parser> parser_;
};

}  // namespace kn::kube
