#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/request.hpp"

namespace kn::kube {

/// Reason of the error when a body is not what it should be: asking again gives the same.
inline constexpr std::string_view invalid_body = "InvalidBody";

/// An object as a cache keeps it (packed.hpp), with what it is found by.
struct PackedItem {
    std::string ns, name;
    std::vector<std::string> owners;  ///< uids
    std::string bytes;
};

/// Takes the objects of a list one after the other.
class ItemSink {
public:
    virtual ~ItemSink() = default;
    /// Which of the two add() is called. Packed items are made from the text directly, several times as fast.
    [[nodiscard]] virtual bool wants_packed() const { return false; }
    virtual void add(json::Value item) = 0;
    virtual void add(PackedItem item) = 0;
    /// An answer broke off and comes again: only the first `count` items were true.
    virtual void rewind(std::size_t count) = 0;
};

/// The bytes of a list, cut anywhere → its items. As objects they come while the bytes come, in one pass, with memory for one item; packed ones come at the
/// end of a page, whose text is kept until then.
class ListDecoder final : public BodySink {
public:
    /// The server leaves kind and apiVersion out of the items: they are put in, unless empty.
    explicit ListDecoder(ItemSink& items, std::string kind = {}, std::string api_version = {});
    ~ListDecoder() override;
    void begin() override;
    Result<> data(std::string_view bytes) override;
    /// The list without its items: kind, metadata. An error when the text was not whole.
    Result<json::Value> finish();
    /// No body has begun: the transport knows no sinks.
    [[nodiscard]] bool untouched() const;

private:
    struct Form;
    struct Objects;
    struct Packed;
    std::unique_ptr<Form> form_;
};

}  // namespace kn::kube
