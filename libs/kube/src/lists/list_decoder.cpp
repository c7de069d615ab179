#include "kubernaut/kube/list_decoder.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <optional>

#include "lists/packed_text.hpp"

namespace kn::kube {
namespace {

constexpr std::size_t max_depth = 128;
constexpr std::string_view items_key = "items";

/// What Boost.JSON's parser calls. Values outside of `items` are collected in one stack, an item in another, which is emptied at the item's end.
class Handler {
public:
    static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_key_size = 0x7ffffffe;
    static constexpr std::size_t max_string_size = 0x7ffffffe;
    using Text = boost::json::string_view;
    using Code = boost::json::error_code;

    Handler(ItemSink& items, const ListNames& names) : items_(items), names_(names) { list_.reset(); }

    bool on_document_begin(Code& /*ec*/) { return true; }
    bool on_document_end(Code& /*ec*/) { return true; }
    bool on_object_begin(Code& /*ec*/) { return opened(); }
    bool on_object_end(std::size_t n, Code& /*ec*/) {
        --depth_;
        stack().push_object(n);
        return pushed();
    }
    bool on_array_begin(Code& /*ec*/) {
        if (depth_ == 1 && key_ == items_key) {
            ++depth_;
            return in_items_ = true;
        }
        return opened();
    }
    bool on_array_end(std::size_t n, Code& /*ec*/) {
        --depth_;
        if (in_items_ && depth_ == 1) {
            in_items_ = false;
            n = 0;
        }
        stack().push_array(n);
        return pushed();
    }
    bool on_key_part(Text text, std::size_t /*n*/, Code& /*ec*/) {
        if (depth_ == 1) key_part_ += std::string_view(text.data(), text.size());
        stack().push_chars(text);
        return true;
    }
    bool on_key(Text text, std::size_t /*n*/, Code& /*ec*/) {
        if (depth_ == 1) {
            key_ = std::exchange(key_part_, {});
            key_ += std::string_view(text.data(), text.size());
        }
        stack().push_key(text);
        return true;
    }
    bool on_string_part(Text text, std::size_t /*n*/, Code& /*ec*/) {
        if (!open_) start();
        stack().push_chars(text);
        return true;
    }
    bool on_string(Text text, std::size_t /*n*/, Code& /*ec*/) {
        if (!open_) start();
        stack().push_string(text);
        return pushed();
    }
    bool on_number_part(Text /*text*/, Code& /*ec*/) { return true; }
    bool on_int64(std::int64_t value, Text /*text*/, Code& /*ec*/) {
        if (!open_) start();
        stack().push_int64(value);
        return pushed();
    }
    bool on_uint64(std::uint64_t value, Text /*text*/, Code& /*ec*/) {
        if (!open_) start();
        stack().push_uint64(value);
        return pushed();
    }
    bool on_double(double value, Text /*text*/, Code& /*ec*/) {
        if (!open_) start();
        stack().push_double(value);
        return pushed();
    }
    bool on_bool(bool value, Code& /*ec*/) {
        if (!open_) start();
        stack().push_bool(value);
        return pushed();
    }
    bool on_null(Code& /*ec*/) {
        if (!open_) start();
        stack().push_null();
        return pushed();
    }
    bool on_comment_part(Text /*text*/, Code& /*ec*/) { return true; }
    bool on_comment(Text /*text*/, Code& /*ec*/) { return true; }

    json::Value release() { return list_.release(); }
    [[nodiscard]] std::size_t count() const { return count_; }

private:
    boost::json::value_stack& stack() { return in_items_ ? item_ : list_; }
    void start() {
        if (!in_items_) return;
        item_.reset();
        open_ = true;
    }
    bool opened() {
        if (!open_) start();
        ++depth_;
        return true;
    }
    /// A value is complete; at this depth it is an item.
    bool pushed() {
        if (!in_items_ || depth_ != 2) return true;
        json::Value item = item_.release();
        if (auto* object = item.if_object()) {
            if (!names_.kind.empty() && !object->contains("kind")) (*object)["kind"] = names_.kind;
            if (!names_.api_version.empty() && !object->contains("apiVersion")) (*object)["apiVersion"] = names_.api_version;
        }
        items_.add(std::move(item));
        open_ = false;
        ++count_;
        return true;
    }

    ItemSink& items_;
    const ListNames& names_;
    boost::json::value_stack list_, item_;
    std::string key_, key_part_;
    std::size_t depth_ = 0, count_ = 0;
    bool in_items_ = false, open_ = false;  ///< open: an item has begun
};

boost::json::parse_options parser_options() {
    boost::json::parse_options options;
    options.max_depth = max_depth;
    return options;
}

Error not_json(const std::string& why, std::size_t offset) {
    return {.code = ErrorCode::unavailable,
            .message = "a list is not valid JSON: " + why,
            .field = "byte " + std::to_string(offset),
            .reason = std::string(invalid_body)};
}

}  // namespace

struct ListDecoder::Form {
    virtual ~Form() = default;
    virtual void begin() = 0;
    virtual Result<> data(std::string_view bytes) = 0;
    virtual Result<json::Value> finish() = 0;
    bool begun = false;
};

struct ListDecoder::Objects final : Form {
    Objects(ItemSink& sink, ListNames of) : items(sink), names(std::move(of)) {}
    void begin() override {
        if (parser) items.rewind(before);
        parser.emplace(parser_options(), items, names);
        bytes_read = 0;
    }
    Result<> data(std::string_view bytes) override {
        boost::json::error_code ec;
        const auto used = parser->write_some(true, bytes.data(), bytes.size(), ec);
        if (ec) return std::unexpected(not_json(ec.message(), bytes_read + used));
        bytes_read += used;
        if (used < bytes.size() && bytes.find_first_not_of(" \t\r\n", used) != std::string_view::npos)
            return std::unexpected(not_json("text after the end", bytes_read));
        return {};
    }
    Result<json::Value> finish() override {
        if (!parser) return std::unexpected(not_json("it is empty", 0));
        boost::json::error_code ec;
        if (!parser->done()) parser->write_some(false, nullptr, 0, ec);
        if (ec || !parser->done()) return std::unexpected(not_json("the text ends too early", bytes_read));
        before += parser->handler().count();
        json::Value list = parser->handler().release();
        parser.reset();
        return list;
    }

    ItemSink& items;
    const ListNames names;
    std::optional<boost::json::basic_parser<Handler>> parser;
    std::size_t before = 0;  ///< items of what is over already
    std::size_t bytes_read = 0;
};

struct ListDecoder::Packed final : Form {
    Packed(ItemSink& sink, ListNames of) : items(sink), names(std::move(of)) {}
    void begin() override { text.clear(); }
    Result<> data(std::string_view bytes) override {
        text += bytes;
        return {};
    }
    /// Items are given only when the page is whole: there is nothing to take back.
    Result<json::Value> finish() override {
        auto list = pack_list(text, names, items);
        text.clear();
        if (!list) return std::unexpected(not_json(list.error().message, 0));
        return list;
    }

    ItemSink& items;
    const ListNames names;
    std::string text;
};

ListDecoder::ListDecoder(ItemSink& items, std::string kind, std::string api_version) {
    ListNames names{std::move(kind), std::move(api_version)};
    if (items.wants_packed())
        form_ = std::make_unique<Packed>(items, std::move(names));
    else
        form_ = std::make_unique<Objects>(items, std::move(names));
}
ListDecoder::~ListDecoder() = default;

bool ListDecoder::untouched() const { return !form_->begun; }

void ListDecoder::begin() {
    form_->begun = true;
    form_->begin();
}

Result<> ListDecoder::data(std::string_view bytes) { return form_->data(bytes); }

Result<json::Value> ListDecoder::finish() {
    form_->begun = false;
    return form_->finish();
}

}  // namespace kn::kube
