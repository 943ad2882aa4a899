/* What is reachable at the end of C++ programs; see reach.h. */
#include "reach.h"
#include "reach_by.h"
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

static void *global;

CASE(vector_of_strings_kept) {
    global = reachable_by([] {
        auto *all = new std::vector<std::string>;
        for (int i = 0; i < 100; i++) all->push_back(std::string(100, 'x'));
        return all;
    });
}
CASE(vector_lost) {
    auto *lost = unreachable_by([] { return new std::vector<std::string>; });
    indirect_by([&] { lost->assign(10, std::string(100, 'x')); return 0; });
}
CASE(map_kept) {
    global = reachable_by([] {
        auto *all = new std::map<int, std::string>;
        for (int i = 0; i < 100; i++) (*all)[i] = std::string(50, 'y');
        return all;
    });
}
CASE(map_lost) {
    auto *lost = unreachable_by([] { return new std::map<int, int>; });
    indirect_by([&] { for (int i = 0; i < 100; i++) (*lost)[i] = i; return 0; });
}
CASE(hash_map_kept) {
    global = reachable_by([] {
        auto *all = new std::unordered_map<std::string, int>;
        for (int i = 0; i < 1000; i++) (*all)[std::to_string(i) + " is a long name for a key"] = i;
        return all;
    });
}
CASE(list_and_deque_and_set_of_a_static) {
    static std::list<int> *volatile list;
    static std::deque<long> *volatile deque;
    static std::set<int> *volatile set;
    reachable_by([] {
        list = new std::list<int>(50, 1);
        deque = new std::deque<long>(5000, 2);
        set = new std::set<int>{1, 2, 3, 4, 5};
        return 0;
    });
}
struct Peer {
    std::shared_ptr<Peer> other;
    std::weak_ptr<Peer> weak;
    long pad[4];
};
CASE(a_ring_of_shared_pointers) {
    auto first = unreachable_by([] { return std::make_shared<Peer>(); });
    auto second = indirect_by([] { return std::make_shared<Peer>(); });
    first->other = second;
    second->other = first;
}
CASE(a_ring_of_shared_and_weak_pointers) {
    auto first = std::make_shared<Peer>(), second = std::make_shared<Peer>();
    first->other = second;
    second->weak = first;
    lose(10);
}
CASE(shared_pointers_of_new) {
    static std::shared_ptr<Peer> *volatile kept;
    reachable_by([] { kept = new std::shared_ptr<Peer>(new Peer); return 0; });
}
CASE(unique_pointer_released) {
    std::unique_ptr<Peer> own(unreachable_by([] { return new Peer; }));
    (void)!own.release();
}
struct First { virtual ~First() {} long a = 1; };
struct Second { virtual ~Second() {} long b = 2; };
struct Both : First, Second { long c = 3; };
CASE(held_by_the_second_base) {
    static Second *kept;
    kept = reachable_by([] { return new Both; });
    OPAQUE(kept);
}
struct Left : virtual First { long l = 1; };
struct Right : virtual First { long r = 1; };
struct Diamond : Left, Right { long d = 1; };
CASE(held_by_a_virtual_base) {
    static First *kept;
    kept = reachable_by([] { return new Diamond; });
    OPAQUE(kept);
}
struct Plain { long a[4]; };
struct PlainSecond { long b[4]; };
struct PlainBoth : Plain, PlainSecond {};
CASE(held_by_a_second_base_without_virtuals) {
    static PlainSecond *kept;
    kept = possible_by([] { auto *both = new PlainBoth; both->a[0] = 1ul << 60; return both; });
    OPAQUE(kept);
}
struct Destroyed { ~Destroyed() { sink = this; } long value = 7; };
CASE(an_array_with_its_length) {
    static Destroyed *kept;
    kept = reachable_by([] { return new Destroyed[5]; });
    OPAQUE(kept);
}
CASE(an_array_with_its_length_lost) { sink = unreachable_by([] { return new Destroyed[5]; }); sink = nullptr; }
CASE(an_array_of_no_elements) {
    static Destroyed *kept;
    volatile size_t none = 0;
    kept = reachable_by([&] { return new Destroyed[none]; });
    OPAQUE(kept);
    sink = unreachable_by([&] { return new Destroyed[none]; });
    sink = nullptr;
}
CASE(an_array_held_by_an_element) {
    static Destroyed *kept;
    kept = possible_by([] { return new Destroyed[5]; }) + 2;
    OPAQUE(kept);
}
CASE(a_static_object_destroyed_at_the_end) {
    static std::vector<std::string> all(100, std::string(100, 'z'));
    lose(10);
}
CASE(a_function_object_kept) {
    static std::function<long()> *volatile kept;
    reachable_by([] {
        std::string text(200, 'f');
        Plain plain{};
        kept = new std::function<long()>([text, plain] { return long(text.size()) + plain.a[0]; });
        return 0;
    });
}
CASE(lost_by_an_exception) {
    try {
        auto *raw = unreachable_by([] { return new Peer; });
        if (sink != raw) throw 1;
        delete raw;
    } catch (int) {
    }
}
struct Holder {
    Peer *peer = nullptr;
    ~Holder() { delete peer; }
};
CASE(two_holders_of_which_one_is_lost) {
    auto *kept = reachable_by([] { auto *h = new Holder; h->peer = new Peer; return h; });
    global = kept;
    auto *lost = unreachable_by([] { return new Holder; });
    lost->peer = indirect_by([] { return new Peer; });
}
CASE(thread_local_objects) {
    static thread_local std::vector<int> *kept;
    reachable_by([] { kept = new std::vector<int>(1000); return 0; });
    OPAQUE(kept);
}
CASE(a_thread_still_at_work) {
    static std::vector<std::unique_ptr<Peer>> *work;
    std::thread([] {
        std::vector<std::unique_ptr<Peer>> own;
        reachable_by([&] { for (int i = 0; i < 100; i++) own.push_back(std::make_unique<Peer>()); return 0; });
        work = &own;
        OPAQUE(work);
        __atomic_store_n(&global, (void *)&own, __ATOMIC_RELEASE);
        for (;;) pause();
    }).detach();
    while (__atomic_load_n(&global, __ATOMIC_ACQUIRE) == nullptr) std::this_thread::yield();
}
CASE(an_aligned_object) {
    struct alignas(64) Wide { long a[16]; };
    static Wide *volatile kept;
    kept = reachable_by([] { return new Wide; });
    sink = unreachable_by([] { return new Wide; });
    sink = nullptr;
}

int main(int argc, char **argv) { return run_cases(argc, argv); }
