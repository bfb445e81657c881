// The contents of a file in memory, mapped or copied.
#ifndef OSTLER_FILE_HPP
#define OSTLER_FILE_HPP

#include "page_source.hpp"

#include <string>
#include <string_view>

namespace ostler {

enum class readahead : std::uint32_t {
    all = OSTLER_READAHEAD_ALL,
    sequential = OSTLER_READAHEAD_SEQUENTIAL,
    none = OSTLER_READAHEAD_NONE,
};

/// The C struct with its defaults, and setters that can be chained.
struct file_config : ostler_file_config {
    /// The pages of a copy, unless the pointer of the C struct names others.
    page_source from;
    file_config() noexcept : ostler_file_config(detail::sized<ostler_file_config>()) {}
    file_config &copied_to(const page_source &pages) noexcept { return mode = OSTLER_FILE_COPY, from = pages, *this; }
    file_config &part(std::uint64_t offset, std::uint64_t length = 0) noexcept
    {
        return offset_bytes = offset, length_bytes = length, *this;
    }
    file_config &reading_ahead(ostler::readahead what) noexcept
    {
        return ostler_file_config::readahead = static_cast<std::uint32_t>(what), *this;
    }
    file_config &prefaulted() noexcept { return prefault = 1, *this; }
    file_config &locked() noexcept { return lock = 1, *this; }
    file_config &named(std::string_view text) noexcept { return detail::set_name(name, text), *this; }
};

/// The contents of a file in memory, to be read in place. While a mapped file is open, nobody may cut it.
class file : public handle<ostler_file, ostler_file_destroy> {
  public:
    explicit file(const std::string &path, const file_config &config = file_config())
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(path, config, failure); });
    }
    static file open(const std::string &path, const file_config &config, std::error_code &failure) noexcept
    {
        ostler_file *made = nullptr;
        ostler_file_config given = config;
        if (given.mode == OSTLER_FILE_COPY)
            given = detail::with_source<ostler_file_config>(config);
        detail::note(ostler_file_open(path.c_str(), &given, &made), failure);
        return file(made);
    }

    /// Stays as long as the file.
    std::string_view contents() const
    {
        return detail::thrown([&](std::error_code &failure) { return contents(failure); });
    }
    std::string_view contents(std::error_code &failure) const noexcept
    {
        void *data = nullptr;
        std::uint64_t bytes = 0;
        if (!detail::note(ostler_file_get_contents(get(), &data, &bytes), failure))
            return {};
        return {static_cast<const char *>(data), static_cast<std::size_t>(bytes)};
    }

    /// How much of it is in memory, and whether somebody cut or changed it.
    ostler_file_info info() const
    {
        return detail::thrown([&](std::error_code &failure) { return info(failure); });
    }
    ostler_file_info info(std::error_code &failure) const noexcept
    {
        auto info = detail::sized<ostler_file_info>();
        detail::note(ostler_file_get_info(get(), &info), failure);
        return info;
    }
    /// What the pages of a copy asked for and got.
    ostler_receipt receipt() const
    {
        return detail::thrown([&](std::error_code &failure) { return receipt(failure); });
    }
    ostler_receipt receipt(std::error_code &failure) const noexcept
    {
        auto receipt = detail::sized<ostler_receipt>();
        detail::note(ostler_file_get_receipt(get(), &receipt), failure);
        return receipt;
    }

  private:
    explicit file(ostler_file *raw) noexcept : handle(raw) {}
};

} // namespace ostler

#endif
