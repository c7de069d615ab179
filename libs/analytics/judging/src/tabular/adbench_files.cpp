#include "kubernaut/analytics/judging/tabular/adbench_files.hpp"

#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <numeric>

#include "kubernaut/analytics/numerics/random.hpp"

namespace kn::analytics::judging {
namespace {
constexpr std::uint64_t largest_array = std::uint64_t{1} << 30U;

template <class T> T load(std::string_view bytes, std::size_t at) {  // little-endian machines only, like the files
    T value{};
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

Result<std::string> inflate_raw(std::string_view packed, std::size_t size) {
    std::string out(size, '\0');
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return fail(ErrorCode::internal, "zlib does not start");
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));  // NOLINT: zlib does not write there
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());  // NOLINT
    stream.avail_out = static_cast<uInt>(size);
    const int end = inflate(&stream, Z_FINISH);
    const bool whole = end == Z_STREAM_END && stream.total_out == size;
    inflateEnd(&stream);
    if (!whole) return fail(ErrorCode::invalid_argument, "a packed array is damaged");
    return out;
}

// The named member of a zip archive, found by its central directory (APPNOTE 4.3; no zip64).
Result<std::string> zip_member(std::string_view zip, std::string_view name) {
    const auto damaged = [] { return fail(ErrorCode::invalid_argument, "not a zip archive, or a damaged one"); };
    const std::size_t end = zip.rfind(std::string_view("PK\x05\x06", 4));
    if (end == std::string_view::npos || end + 22 > zip.size()) return damaged();
    std::size_t at = load<std::uint32_t>(zip, end + 16);
    for (unsigned left = load<std::uint16_t>(zip, end + 10); left > 0; --left) {
        if (at > zip.size() || zip.size() - at < 46 || zip.substr(at, 4) != std::string_view("PK\x01\x02", 4)) return damaged();
        const std::size_t name_size = load<std::uint16_t>(zip, at + 28);
        const std::size_t others = load<std::uint16_t>(zip, at + 30) + load<std::uint16_t>(zip, at + 32);
        if (zip.size() - at < 46 + name_size) return damaged();
        if (zip.substr(at + 46, name_size) != name) {
            at += 46 + name_size + others;
            continue;
        }
        const auto method = load<std::uint16_t>(zip, at + 10);
        const std::uint64_t packed = load<std::uint32_t>(zip, at + 20), size = load<std::uint32_t>(zip, at + 24),
                            local = load<std::uint32_t>(zip, at + 42);
        if (size > largest_array) return fail(ErrorCode::resource_exhausted, "an array is larger than 1 GiB");
        if (local + 30 > zip.size()) return damaged();
        const std::uint64_t from = local + 30 + load<std::uint16_t>(zip, local + 26) + load<std::uint16_t>(zip, local + 28);
        if (from + packed > zip.size()) return damaged();
        if (method == 0) return std::string(zip.substr(from, packed));
        if (method == 8) return inflate_raw(zip.substr(from, packed), size);
        return fail(ErrorCode::unimplemented, "the archive is packed in another way than stored or deflated");
    }
    return fail(ErrorCode::not_found, "the archive has no " + std::string(name));
}

// The text behind 'key': in the header's Python dictionary.
std::string_view header_value(std::string_view header, std::string_view key) {
    const auto at = header.find("'" + std::string(key) + "':");
    if (at == std::string_view::npos) return {};
    auto value = header.substr(at + key.size() + 3);
    while (value.starts_with(' ')) value.remove_prefix(1);
    return value;
}

template <class T> void fill(Matrix& out, std::string_view data, bool by_column) {
    for (std::size_t r = 0; r < out.rows(); ++r)
        for (std::size_t c = 0; c < out.cols(); ++c)
            out.at(r, c) = static_cast<double>(load<T>(data, (by_column ? c * out.rows() + r : r * out.cols() + c) * sizeof(T)));
}
}  // namespace

Result<Matrix> parse_npy(std::string_view bytes) {
    const auto bad = [](const char* what) { return fail(ErrorCode::invalid_argument, std::string("npy array: ") + what); };
    if (bytes.size() < 12 || !bytes.starts_with("\x93NUMPY")) return bad("no magic number");
    const bool short_header = bytes[6] == 1;
    const std::size_t header_size = short_header ? load<std::uint16_t>(bytes, 8) : load<std::uint32_t>(bytes, 8);
    const std::size_t start = short_header ? 10 : 12;
    if (header_size > bytes.size() - start) return bad("shorter than its header");
    const auto header = bytes.substr(start, header_size), data = bytes.substr(start + header_size);
    std::uint64_t shape[2] = {1, 1};
    auto text = header_value(header, "shape");
    if (!text.starts_with('(')) return bad("no shape");
    text.remove_prefix(1);
    std::size_t axes = 0;
    while (!text.empty() && text.front() != ')') {
        if (text.front() == ' ' || text.front() == ',') {
            text.remove_prefix(1);
            continue;
        }
        if (axes == 2) return bad("more than two axes");
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), shape[axes++]);
        if (error != std::errc{}) return bad("a shape that is no number");
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    }
    const auto type = header_value(header, "descr").substr(0, 5);
    const bool by_column = header_value(header, "fortran_order").starts_with("True") && axes == 2;
    if (type.size() < 4) return bad("no type");
    const auto width = static_cast<std::uint64_t>(type[3] - '0');
    if (width == 0 || width > 8 || shape[0] > largest_array || shape[1] > largest_array || shape[0] * shape[1] > largest_array)
        return bad("a size out of range");
    if (data.size() != shape[0] * shape[1] * width) return bad("another length than its shape says");
    Matrix out(shape[0], shape[1]);
    const auto kind = type.substr(1);
    if (kind.starts_with("<f8"))
        fill<double>(out, data, by_column);
    else if (kind.starts_with("<f4"))
        fill<float>(out, data, by_column);
    else if (kind.starts_with("<i8"))
        fill<std::int64_t>(out, data, by_column);
    else if (kind.starts_with("<i4"))
        fill<std::int32_t>(out, data, by_column);
    else if (kind.starts_with("<i2"))
        fill<std::int16_t>(out, data, by_column);
    else if (kind.starts_with("|i1"))
        fill<std::int8_t>(out, data, by_column);
    else if (kind.starts_with("|u1") || kind.starts_with("|b1"))
        fill<std::uint8_t>(out, data, by_column);
    else if (kind.starts_with("<u2"))
        fill<std::uint16_t>(out, data, by_column);
    else if (kind.starts_with("<u4"))
        fill<std::uint32_t>(out, data, by_column);
    else
        return bad("a type that is not read here");
    return out;
}

Result<LabelledTable> read_adbench(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return fail(ErrorCode::not_found, "cannot open " + path.filename().string());
    const std::string zip{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    KN_TRY(const auto x, zip_member(zip, "X.npy"));
    KN_TRY(const auto y, zip_member(zip, "y.npy"));
    LabelledTable table{.name = path.stem().string()};
    KN_TRY(table.rows, parse_npy(x));
    KN_TRY(const auto labels, parse_npy(y));
    if (labels.rows() != table.rows.rows() || labels.cols() != 1) return fail(ErrorCode::invalid_argument, "X and y differ in length");
    for (std::size_t r = 0; r < labels.rows(); ++r) table.anomalous.push_back(labels.at(r, 0) != 0 ? 1 : 0);
    return table;
}

LabelledTable sample_rows(const LabelledTable& table, std::size_t limit, std::uint64_t seed) {
    const std::size_t n = table.rows.rows();
    if (n <= limit) return table;
    std::vector<std::size_t> chosen(n);
    std::iota(chosen.begin(), chosen.end(), 0U);
    Rng rng(seed);
    for (std::size_t i = 0; i < limit; ++i) std::swap(chosen[i], chosen[i + rng.below(n - i)]);
    chosen.resize(limit);
    std::ranges::sort(chosen);
    LabelledTable out{.name = table.name, .rows = Matrix(limit, table.rows.cols())};
    for (std::size_t i = 0; i < limit; ++i) {
        std::ranges::copy(table.rows.row(chosen[i]), out.rows.row(i).begin());
        out.anomalous.push_back(table.anomalous[chosen[i]]);
    }
    return out;
}

}  // namespace kn::analytics::judging
