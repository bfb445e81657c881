// The three things that Ostler keeps warm, from C++: memory, pooled objects, and workers.
//     c++ -std=c++17 quickstart.cpp $(pkg-config --cflags --libs ostler) -o quickstart && ./quickstart
#include <ostler.hpp>

#include <cstdio>
#include <vector>

struct connection {
    int queries = 0;
};

struct model_state {
    int factor;
};

int main()
try {
    // Memory: a vector in an arena on the largest pages that are free. The receipts say which those were.
    ostler::arena arena(ostler::arena_config().on(ostler::pages::best));
    ostler::memory_resource<ostler::arena> memory(arena);
    std::pmr::vector<int> numbers({1, 2, 3, 4}, &memory);
    std::fputs(arena.receipts().c_str(), stdout);

    // Pool: at most two connections; a lease gives its connection back when it goes out of scope.
    ostler::pool<connection> pool([] { return std::make_unique<connection>(); }, ostler::pool_config().at_most(2));
    for (int i = 0; i < 10; i++)
        pool.acquire(std::chrono::seconds(1))->queries++;
    std::printf("pool: %llu acquires, %llu connections made\n", static_cast<unsigned long long>(pool.stats().acquires),
                static_cast<unsigned long long>(pool.stats().created));

    // Workers: each loads its state once; requests wait by priority, run in batches, and end in exactly one outcome. What
    // they write to is declared before them, so that it outlives them.
    std::vector<int> products(numbers.size());
    ostler::orchestrator orchestrator;
    ostler::model<model_state> model(
        orchestrator, [](std::uint32_t) { return std::make_unique<model_state>(model_state{10}); },
        [](model_state &state, const ostler::batch &batch) {
            for (const ostler::item item : batch) {
                int number;
                std::memcpy(&number, item.input().data(), sizeof number);
                number *= state.factor;
                item.write({&number, sizeof number});
            }
        },
        ostler::model_config().workers(1, 4).batches(8).named("times-ten"));

    std::vector<ostler::ticket> tickets;
    for (std::size_t i = 0; i < numbers.size(); i++) {
        tickets.push_back(model.submit(ostler::request()
                                           .from({&numbers[i], sizeof(int)})
                                           .into({&products[i], sizeof(int)})
                                           .as(i == 0 ? ostler::priority::critical : ostler::priority::normal)
                                           .within(std::chrono::seconds(5))));
    }
    for (std::size_t i = 0; i < tickets.size(); i++) {
        orchestrator.wait(tickets[i]).value();
        std::printf("%d times ten is %d\n", numbers[i], products[i]);
    }
    return 0;
} catch (const ostler::error &error) {
    std::fprintf(stderr, "quickstart: %s\n", error.what());
    return 1;
}
