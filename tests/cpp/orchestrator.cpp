// Orchestrator and models: lambdas run requests, and outcomes come back as values.
#include "check.h"
#include <ostler.hpp>

#include <numeric>
#include <thread>

namespace {

/// A model that turns each letter into its upper case, once its worker has loaded the table for it.
struct table {
    char upper[256];
};

std::unique_ptr<table> load_table(std::uint32_t)
{
    auto made = std::make_unique<table>();
    std::iota(made->upper, made->upper + 256, 0);
    for (int letter = 'a'; letter <= 'z'; letter++)
        made->upper[letter] = static_cast<char>(letter - 'a' + 'A');
    return made;
}

void run_table(table &table, const ostler::batch &batch)
{
    for (const ostler::item item : batch) {
        std::string text(item.input_text());
        for (char &letter : text)
            letter = table.upper[static_cast<unsigned char>(letter)];
        item.write(text);
    }
}

} // namespace

TEST(request_goes_in_and_its_result_comes_out)
{
    ostler::orchestrator orchestrator;
    ostler::model<table> model(orchestrator, load_table, run_table, ostler::model_config().named("upper"));
    model.wait_ready(std::chrono::minutes(5));
    const std::string input = "saddle the horse";
    std::string output(input.size(), ' ');
    const auto ticket = model.submit(
        ostler::request().from(input).into(output).as(ostler::priority::high).within(std::chrono::minutes(5)));
    const ostler::result result = orchestrator.wait(ticket).value();
    CHECK(result.completed());
    CHECK_STR_EQ(output.c_str(), "SADDLE THE HORSE");
    CHECK_EQ(result.output_bytes(), input.size());
    std::error_code failure;
    orchestrator.wait(ticket, ostler::forever, failure);
    CHECK(failure == ostler::errc::stale_ticket);
}

namespace {

std::string_view text_of(const ostler::buffer &view)
{
    return {reinterpret_cast<const char *>(view.data()), view.size()};
}

ostler::buffer buffer_of(ostler::buffers &buffers, std::string_view words)
{
    ostler::buffer made = buffers.lease(words.size());
    std::copy(words.begin(), words.end(), reinterpret_cast<char *>(made.data()));
    return made;
}

/// Hands back what follows the first word; fails one that says so.
void run_tail(table &, const ostler::batch &batch)
{
    for (const ostler::item item : batch) {
        const std::size_t space = item.input_text().find(' ');
        const ostler::buffer whole = item.input_buffer();
        if (whole && space != std::string_view::npos) {
            // The first is released when the second takes its place.
            item.hand_over(whole.share());
            item.hand_over(whole.slice(space + 1, whole.size() - space - 1));
        }
        if (item.input_text() == "fail me")
            item.fail("as you wish");
    }
}

} // namespace

TEST(buffers_go_in_and_come_out_without_a_copy)
{
    ostler::buffers buffers;
    {
        ostler::orchestrator orchestrator;
        ostler::model<table> model(orchestrator, load_table, run_tail);
        ostler::buffer input = buffer_of(buffers, "hello world");
        const std::byte *there = input.data();
        const auto ticket = model.submit(ostler::request().from(input));
        input.release();
        ostler::result result = orchestrator.wait(ticket).value();
        CHECK(text_of(result.output()) == "world");
        const ostler::buffer output = result.take_output();
        CHECK(output.data() == there + 6 && !result.output());
        // What is not taken goes with the result.
        const ostler::buffer again = buffer_of(buffers, "once again");
        const ostler::result kept = orchestrator.wait(model.submit(ostler::request().from(again)));
        ostler::result moved = orchestrator.wait(model.submit(ostler::request().from(again)));
        moved = orchestrator.wait(model.submit(ostler::request().from(output)));
        CHECK(text_of(kept.output()) == "again" && !moved.output());
        // One that failed brings nothing.
        const ostler::result failed = orchestrator.wait(model.submit(ostler::request().from(buffer_of(buffers, "fail me"))));
        CHECK(!failed.completed() && !failed.output());
        // Memory of the caller's in place of a view, and the other way round.
        const std::string words = "plain words";
        CHECK(orchestrator.wait(model.submit(ostler::request().from(again).from(words))).completed());
        CHECK(text_of(orchestrator.wait(model.submit(ostler::request().from(words).from(again))).output()) == "again");
    }
    CHECK_EQ(buffers.stats().in_use, 0);
}

TEST(completion_keeps_the_buffer_that_came_if_it_likes)
{
    ostler::buffers buffers;
    {
        ostler::orchestrator orchestrator;
        ostler::model<table> model(orchestrator, load_table, run_tail);
        ostler::buffer kept;
        for (const char *words : {"not this one", "this one"}) {
            model.submit(ostler::request().from(buffer_of(buffers, words)),
                         [&](ostler::ticket, const ostler::result &result) {
                             if (result.output().size() == 3)
                                 kept = result.output();
                         });
        }
        orchestrator.drain();
        CHECK(text_of(kept) == "one");
        std::error_code failure;
        CHECK_EQ(model.submit(ostler::request().from(buffers.lease(1)), failure).value, 0);
        CHECK(failure == ostler::errc::closed);
    }
    CHECK_EQ(buffers.stats().in_use, 0);
}

TEST(item_that_has_no_room_fails_alone)
{
    ostler::orchestrator orchestrator;
    ostler::model<table> model(orchestrator, load_table, run_table, ostler::model_config().batches(8));
    const std::string input = "long";
    std::string small(1, ' '), large(4, ' ');
    const auto refused = model.submit(ostler::request().from(input).into(small));
    const auto accepted = model.submit(ostler::request().from(input).into(large));
    const auto result = orchestrator.wait(refused);
    CHECK(result.outcome() == ostler::outcome::failed);
    CHECK_STR_EQ(std::string(result.message()).c_str(), "the output has no room for the result");
    CHECK(orchestrator.wait(accepted).completed());
    bool thrown = false;
    try {
        result.value();
    } catch (const ostler::error &caught) {
        thrown = caught.status() == ostler::errc::callback_failed;
    }
    CHECK(thrown);
}

TEST(words_of_an_item_are_cut_between_characters)
{
    ostler::orchestrator orchestrator;
    ostler::model<int> model(
        orchestrator, [](std::uint32_t) { return std::make_unique<int>(0); },
        [](int &, const ostler::batch &batch) {
            std::string words(OSTLER_MESSAGE_BYTES - 2, 'a');
            batch[0].fail(words + "\xc3\xa4 and more", ostler::errc::limit);
        });
    const auto result = orchestrator.wait(model.submit(ostler::request()));
    CHECK(result.code() == ostler::errc::limit);
    CHECK_STR_EQ(std::string(result.message()).c_str(), std::string(OSTLER_MESSAGE_BYTES - 2, 'a').c_str());
}

TEST(deadline_that_is_over_is_no_request_without_one)
{
    CHECK_EQ(ostler::request().within(ostler::forever).deadline_after_ns, 0u);
    ostler::orchestrator orchestrator;
    std::atomic<bool> entered{false}, go{false};
    ostler::model<int> model(
        orchestrator, [](std::uint32_t) { return std::make_unique<int>(0); },
        [&](int &, const ostler::batch &) {
            entered = true;
            while (!go)
                std::this_thread::yield();
        });
    const auto running = model.submit(ostler::request().within(ostler::forever));
    while (!entered)
        std::this_thread::yield();
    const auto late = orchestrator.wait(model.submit(ostler::request().within(std::chrono::seconds(-1))));
    go = true;
    CHECK(late.outcome() == ostler::outcome::timed_out);
    CHECK(late.code() == ostler::errc::deadline_exceeded);
    CHECK(orchestrator.wait(running).completed());
}

TEST(completion_takes_the_outcome)
{
    std::atomic<int> completed{0};
    {
        ostler::orchestrator orchestrator;
        ostler::model<table> model(orchestrator, load_table, run_table, ostler::model_config().workers(1, 2));
        for (int i = 0; i < 100; i++) {
            model.submit(ostler::request(), [&](ostler::ticket, const ostler::result &result) {
                completed += result.completed();
            });
        }
        orchestrator.drain();
    }
    CHECK_EQ(completed.load(), 100);
}

TEST(completion_hears_of_a_request_that_is_shed)
{
    std::atomic<int> shed{0};
    ostler::orchestrator orchestrator;
    std::atomic<bool> entered{false}, open{false};
    {
        ostler::model<int> model(
            orchestrator, [](std::uint32_t) { return std::make_unique<int>(0); },
            [&](int &, const ostler::batch &) {
                entered = true;
                while (!open)
                    std::this_thread::yield();
            });
        const auto running = model.submit(ostler::request());
        orchestrator.forget(running);
        while (!entered)
            std::this_thread::yield();
        model.submit(ostler::request(), [&](ostler::ticket, const ostler::result &result) {
            shed += result.outcome() == ostler::outcome::shed && result.code() == ostler::errc::shed;
            open = true;
        });
    }
    CHECK_EQ(shed.load(), 1);
}

TEST(many_are_submitted_at_once)
{
    ostler::orchestrator orchestrator(ostler::orchestrator_config().slots(8));
    ostler::model<table> model(orchestrator, load_table, run_table, ostler::model_config().batches(4));
    const std::vector<ostler::request> requests(10);
    const auto tickets = model.submit(requests);
    CHECK_EQ(tickets.size(), 8u);
    for (const auto ticket : tickets)
        CHECK(orchestrator.wait(ticket).completed());
    CHECK_EQ(orchestrator.stats().refused, 1u);
    CHECK_EQ(model.stats().completed, 8u);
}

TEST(poll_and_cancel)
{
    ostler::orchestrator orchestrator;
    std::atomic<bool> entered{false}, saw{false};
    ostler::model<int> model(
        orchestrator, [](std::uint32_t) { return std::make_unique<int>(0); },
        [&](int &, const ostler::batch &batch) {
            entered = true;
            while (!batch[0].cancelled())
                std::this_thread::yield();
            saw = true;
        });
    const auto running = model.submit(ostler::request());
    while (!entered)
        std::this_thread::yield();
    const auto queued = model.submit(ostler::request());
    CHECK(!orchestrator.poll(queued));
    CHECK(orchestrator.cancel_request(queued));
    const auto polled = orchestrator.poll(queued);
    CHECK(polled.has_value());
    CHECK(polled->outcome() == ostler::outcome::cancelled);
    CHECK(!orchestrator.cancel_request(running));
    orchestrator.wait(running);
    CHECK(saw.load());
}

TEST(orchestrator_may_end_before_its_models)
{
    std::optional<ostler::orchestrator> orchestrator(std::in_place);
    ostler::model<table> model(*orchestrator, load_table, run_table);
    orchestrator.reset();
    std::error_code failure;
    static_cast<void>(model.submit(ostler::request(), failure));
    CHECK(failure == ostler::errc::invalid_handle);
}

CHECK_MAIN()
