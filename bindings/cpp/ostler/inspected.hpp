// What objects share that are made of chunks: receipts of what those got, and what became of it.
#ifndef OSTLER_INSPECTED_HPP
#define OSTLER_INSPECTED_HPP

#include "library.hpp"

#include <cstdint>
#include <string>
#include <system_error>

namespace ostler::detail {

/// The calls of a noun, for the object that derives from this.
template <class Object, auto GetReceipt, auto PrintReceipts, auto GetCoverage, auto Repair> class inspected {
  public:
    /// What a chunk asked for and got, asked of the kernel anew.
    ostler_receipt receipt(std::uint64_t chunk) const
    {
        return thrown([&](std::error_code &failure) { return receipt(chunk, failure); });
    }
    ostler_receipt receipt(std::uint64_t chunk, std::error_code &failure) const noexcept
    {
        auto receipt = sized<ostler_receipt>();
        note(GetReceipt(raw(), chunk, &receipt), failure);
        return receipt;
    }
    /// The receipts of all chunks as a table.
    std::string receipts() const
    {
        return thrown([&](std::error_code &failure) { return receipts(failure); });
    }
    /// Throws nothing but std::bad_alloc.
    std::string receipts(std::error_code &failure) const
    {
        std::uint64_t needed = 0;
        std::string table;
        // Chunks may be added between two calls.
        do {
            table.resize(needed);
            if (!note(PrintReceipts(raw(), table.data(), table.size(), &needed), failure))
                return {};
        } while (needed > table.size());
        table.resize(needed - 1);
        return table;
    }

    /// How much of the memory still is in huge pages, and on its nodes.
    ostler_coverage coverage() const
    {
        return thrown([&](std::error_code &failure) { return coverage(failure); });
    }
    ostler_coverage coverage(std::error_code &failure) const noexcept
    {
        auto coverage = sized<ostler_coverage>();
        note(GetCoverage(raw(), &coverage), failure);
        return coverage;
    }
    /// Puts huge pages together and moves pages home.
    ostler_repair repair()
    {
        return thrown([&](std::error_code &failure) { return repair(failure); });
    }
    ostler_repair repair(std::error_code &failure) noexcept
    {
        auto repair = sized<ostler_repair>();
        note(Repair(raw(), &repair), failure);
        return repair;
    }

  protected:
    inspected() noexcept = default;

  private:
    auto raw() const noexcept { return static_cast<const Object *>(this)->get(); }
};

} // namespace ostler::detail

#endif
