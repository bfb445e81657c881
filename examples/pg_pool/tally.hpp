// What became of the queries: each succeeded, or failed for a reason that has a name.
#ifndef PG_POOL_TALLY_HPP
#define PG_POOL_TALLY_HPP

#include <map>
#include <mutex>
#include <ostream>
#include <string>

class tally {
  public:
    void success()
    {
        const std::lock_guard<std::mutex> guard(mutex_);
        succeeded_++, since_failure_++;
    }
    void failure(const std::string &reason, const std::string &words)
    {
        const std::lock_guard<std::mutex> guard(mutex_);
        failed_++, since_failure_ = 0;
        reasons_[reason].count++;
        reasons_[reason].words = words;
    }

    /// To be called when all is over.
    friend std::ostream &operator<<(std::ostream &out, const tally &counts)
    {
        out << counts.succeeded_ << " queries succeeded, " << counts.since_failure_ << " of them since the last failure; "
            << counts.failed_ << " failed\n";
        for (const auto &[reason, seen] : counts.reasons_)
            out << "    " << seen.count << " x " << reason << ", such as: " << seen.words << '\n';
        return out;
    }

  private:
    struct seen {
        long count = 0;
        std::string words;
    };
    long succeeded_ = 0, since_failure_ = 0, failed_ = 0;
    std::map<std::string, seen> reasons_;
    std::mutex mutex_;
};

#endif
