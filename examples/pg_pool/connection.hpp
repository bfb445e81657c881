// A connection to PostgreSQL that ends with its object, and whose failures are exceptions.
#ifndef PG_POOL_CONNECTION_HPP
#define PG_POOL_CONNECTION_HPP

#include <libpq-fe.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

/// Has the first line of the words, and no SQLSTATE where they are libpq's own: the server is gone.
struct query_error : std::runtime_error {
    std::string sqlstate;
    query_error(const char *state, const std::string &words)
        : std::runtime_error(words.substr(0, words.find('\n'))), sqlstate(state ? state : "")
    {
    }
};

class connection {
  public:
    explicit connection(const std::string &conninfo)
    {
        // The conninfo comes last, so that it has the last word.
        const char *const keywords[] = {"fallback_application_name", "connect_timeout", "dbname", nullptr};
        const char *const values[] = {"pg_pool", "5", conninfo.c_str(), nullptr};
        raw_.reset(PQconnectdbParams(keywords, values, true));
        if (is_broken())
            throw query_error(nullptr, PQerrorMessage(raw_.get()));
        // libpq prints the words with which a server ends a connection, unless it is told not to.
        PQsetNoticeProcessor(raw_.get(), [](void *, const char *) {}, nullptr);
    }

    /// The first value of the answer, if it has one.
    std::string query(const std::string &sql)
    {
        const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(raw_.get(), sql.c_str()), PQclear);
        switch (PQresultStatus(result.get())) {
        case PGRES_TUPLES_OK: return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
        case PGRES_COMMAND_OK:
        case PGRES_EMPTY_QUERY: return {};
        default: throw query_error(PQresultErrorField(result.get(), PG_DIAG_SQLSTATE), PQerrorMessage(raw_.get()));
        }
    }

    bool is_broken() const { return PQstatus(raw_.get()) != CONNECTION_OK; }
    bool in_transaction() const { return PQtransactionStatus(raw_.get()) != PQTRANS_IDLE; }

    /// How many there are, and the most that there were at once.
    static inline std::atomic<std::uint32_t> open{0}, most{0};

  private:
    // Stands before raw_, so that a connection counts until PQfinish has returned.
    struct counted {
        counted()
        {
            const std::uint32_t now = ++open;
            for (std::uint32_t seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
            }
        }
        ~counted() { open--; }
    } counted_;
    struct finish {
        void operator()(PGconn *raw) const { PQfinish(raw); }
    };
    std::unique_ptr<PGconn, finish> raw_;
};

#endif
