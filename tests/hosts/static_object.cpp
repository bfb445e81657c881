// Static objects that call the library from their destructors, after main has returned.
#include <ostler.hpp>

#include <cstdio>

namespace {

struct before_main {
    ostler::orchestrator orchestrator;
    ostler::model<int> model{orchestrator, [](std::uint32_t) { return std::make_unique<int>(2); },
                             [](int &state, const ostler::batch &) { state++; }};
    ~before_main()
    {
        std::error_code failure;
        const auto result = orchestrator.wait(model.submit(ostler::request(), failure), std::chrono::seconds(20), failure);
        std::printf("%s\n", !failure && result.completed() ? "ran in a static destructor" : ostler::last_error_message());
    }
};

before_main early;

struct in_main {
    ostler::arena arena;
    ~in_main() { std::printf("%s\n", arena.allocate(64) != nullptr ? "allocated in a static destructor" : "no memory"); }
};

} // namespace

int main()
{
    static in_main late;
    thread_local ostler::cursor cursor(late.arena);
    return cursor.allocate(16) == nullptr;
}
