/* flags: -std=c++20
 * Frames of coroutines: what a suspended one holds; see reach.h. */
#include "reach_by.h"
#include <coroutine>
#include <string>
#include <vector>

struct Task {
    struct promise_type {
        Task get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
    };
    std::coroutine_handle<promise_type> handle;
};

void *global;
static std::vector<std::string> *volatile used;

FRAME static Task holds(int count) {
    std::vector<std::string> own(count, std::string(100, 'x'));
    used = &own;
    co_await std::suspend_always{};
    used = nullptr;
}

CASE(suspended_and_kept) {
    static Task kept = reachable_by([] { return holds(10); });
    reachable_by([] { kept.handle.resume(); return 0; });
    used = nullptr;
    OPAQUE(kept.handle);
}
CASE(suspended_and_lost) {
    Task lost = unreachable_by([] { return holds(10); });
    indirect_by([&lost] { lost.handle.resume(); return 0; });
    used = nullptr;
    OPAQUE(lost.handle);
}
CASE(never_begun_and_lost) {
    Task lost = unreachable_by([] { return holds(10); });
    OPAQUE(lost.handle);
}
CASE(ended_and_destroyed) {
    Task task = holds(10);
    task.handle.resume();
    task.handle.resume();
    global = nullptr;
    task.handle.destroy();
    lose(10);
}

int main(int argc, char **argv) { return run_cases(argc, argv); }
