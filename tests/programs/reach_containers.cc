/* Objects of the standard library, kept and lost; see reach.h. */
#include "reach_by.h"
#include <any>
#include <deque>
#include <exception>
#include <forward_list>
#include <functional>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <queue>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

void *global;
static const std::string long_text(100, 'x');

/* Made by `make`, the object itself on the heap, and kept. */
#define KEPT(name, expression) \
    CASE(name) { global = reachable_by([] { return expression; }); }
/* The object is lost, and what it holds is found through it. */
#define LOST(name, type, fill)                                  \
    CASE(name) {                                                \
        auto *lost = unreachable_by([] { return new type; });   \
        indirect_by([lost] { fill; return 0; });                \
        OPAQUE(lost);                                           \
    }
using std::string;

KEPT(a_short_string_kept, new string("short"))
KEPT(a_long_string_kept, new string(long_text))
LOST(a_long_string_lost, string, lost->assign(long_text))
CASE(a_short_string_lost) { sink = unreachable_by([] { return new string("short"); }); sink = nullptr; }
KEPT(bits_kept, new std::vector<bool>(10000, true))
LOST(bits_lost, std::vector<bool>, lost->resize(10000))
KEPT(vectors_of_vectors_kept, (new std::vector<std::vector<int>>(10, std::vector<int>(50, 7))))
LOST(vectors_of_vectors_lost, std::vector<std::vector<int>>, lost->assign(10, std::vector<int>(50, 7)))
KEPT(a_deque_kept, new std::deque<string>(500, long_text))
LOST(a_list_lost, std::list<string>, lost->assign(20, long_text))
KEPT(a_forward_list_kept, new std::forward_list<int>(30, 4))
LOST(a_forward_list_lost, std::forward_list<int>, lost->assign(30, 4))
KEPT(a_multimap_kept, (new std::multimap<int, string>{{1, long_text}, {1, long_text}, {2, long_text}}))
LOST(a_hash_map_lost, (std::unordered_map<int, string>), for (int i = 0; i < 200; i++) (*lost)[i] = long_text)
KEPT(a_hash_set_kept, (new std::unordered_set<string>{long_text, "short", string(40, 'y')}))
LOST(a_set_lost, std::set<string>, for (int i = 0; i < 50; i++) lost->insert(std::to_string(i) + long_text))
KEPT(a_queue_by_priority_kept, (new std::priority_queue<int>(std::less<int>(), std::vector<int>(40, 3))))
KEPT(an_optional_kept, new std::optional<string>(long_text))
LOST(an_optional_lost, std::optional<string>, lost->emplace(long_text))
KEPT(a_variant_kept, (new std::variant<int, string>(long_text)))
LOST(a_variant_lost, (std::variant<int, string>), *lost = long_text)
KEPT(an_any_kept, new std::any(long_text))
LOST(an_any_lost, std::any, *lost = std::vector<int>(100))
KEPT(a_tuple_kept, new auto(std::make_tuple(long_text, std::vector<int>(9), 5)))
LOST(a_function_lost, std::function<size_t()>, string own = long_text; *lost = [own] { return own.size(); })
KEPT(a_stream_kept, new std::ostringstream(long_text))
KEPT(an_expression_kept, new std::regex("(a|b)+c[0-9]*"))

/* Pointers to the inside of what an object holds: the object itself is lost. */
CASE(an_iterator_of_a_vector_that_is_lost) {
    static std::vector<long>::iterator kept;
    auto *lost = unreachable_by([] { return new std::vector<long>; });
    possible_by([lost] { lost->assign(50, -1); return 0; });
    kept = lost->begin() + 5;
    OPAQUE(lost);
    OPAQUE(kept);
}
CASE(a_view_of_a_string_that_is_lost) {
    static const char *kept;
    auto *lost = unreachable_by([] { return new string; });
    reachable_by([lost] { lost->assign(long_text); return 0; });
    kept = std::string_view(*lost).data();
    OPAQUE(kept);
}
CASE(a_node_taken_out_of_a_map) {
    static std::map<int, string>::node_type kept;
    std::map<int, string> all;
    reachable_by([&all] { all[3] = long_text; return 0; });
    kept = all.extract(3);
    told();
    _exit(0);
}

/* Counted references. */
struct Item {
    std::shared_ptr<Item> next;
    std::weak_ptr<Item> back;
    std::vector<std::shared_ptr<Item>> many;
    long value = 3;
};
CASE(a_deleter_of_its_own) {
    reachable_by([] {
        string own = long_text;
        global = new std::shared_ptr<long>(new long(5), [own](long *value) { delete value; });
        return 0;
    });
}
CASE(a_pointer_to_a_member_owns_the_whole) {
    reachable_by([] {
        auto whole = std::make_shared<Item>();
        global = new std::shared_ptr<long>(whole, &whole->value);
        return 0;
    });
}
CASE(a_weak_pointer_keeps_the_room_of_its_object) {
    reachable_by([] {
        auto object = std::make_shared<Item>();
        global = new std::weak_ptr<Item>(object);
        return 0;
    });
}
CASE(an_object_that_owns_itself) {
    auto object = unreachable_by([] { return std::make_shared<Item>(); });
    object->next = object;
}
CASE(three_that_own_each_other) {
    auto first = unreachable_by([] { return std::make_shared<Item>(); });
    auto second = indirect_by([] { return std::make_shared<Item>(); });
    auto third = indirect_by([] { return std::make_shared<Item>(); });
    first->next = second;
    second->next = third;
    third->next = first;
}
CASE(a_parent_and_its_children_that_own_each_other) {
    auto parent = unreachable_by([] { return std::make_shared<Item>(); });
    indirect_by([&parent] {
        for (int i = 0; i < 5; i++) {
            parent->many.push_back(std::make_shared<Item>());
            parent->many.back()->next = parent;
        }
        return 0;
    });
}
CASE(a_parent_and_its_children_with_weak_ways_back) {
    auto parent = std::make_shared<Item>();
    for (int i = 0; i < 5; i++) {
        parent->many.push_back(std::make_shared<Item>());
        parent->many.back()->back = parent;
    }
    lose(10);
}
struct Counted {
    int references = 1;
    Counted *other = nullptr;
    void drop() { if (--references == 0) delete this; }
    ~Counted() { if (other != nullptr) other->drop(); }
};
CASE(a_ring_that_counts_by_itself) {
    auto *first = unreachable_by([] { return new Counted; });
    auto *second = indirect_by([] { return new Counted; });
    first->other = second;
    second->other = first;
    OPAQUE(first);
}
CASE(an_array_owned) {
    reachable_by([] { global = new std::unique_ptr<string[]>(new string[5]); return 0; });
    sink = unreachable_by([] { return std::unique_ptr<long[]>(new long[5]).release(); });
    sink = nullptr;
}

/* Objects and their parts. */
struct Base { virtual ~Base() {} long a = 1; };
struct Other { virtual ~Other() {} long b = 2; };
struct Third { virtual ~Third() {} long c = 3; };
struct All : Base, Other, Third { string text{long_text}; };
CASE(held_by_the_third_base) {
    static Third *kept;
    kept = reachable_by([] { return new All; });
    OPAQUE(kept);
}
CASE(bases_in_a_vector) {
    static std::vector<Other *> *volatile kept;
    reachable_by([] {
        kept = new std::vector<Other *>;
        for (int i = 0; i < 8; i++) kept->push_back(new All);
        return 0;
    });
}
CASE(an_array_of_objects_held_by_a_base_of_one) {
    static Other *kept;
    auto *all = possible_by([] { return new All[3]; });
    kept = &all[1];
    OPAQUE(kept);
}
struct Interface { virtual long get() = 0; virtual ~Interface() {} };
template <class T> struct Wrapped : Interface {
    T inner;
    long get() override { return 1; }
};
CASE(hidden_behind_an_interface) {
    static std::vector<std::unique_ptr<Interface>> *volatile kept;
    reachable_by([] {
        kept = new std::vector<std::unique_ptr<Interface>>;
        kept->push_back(std::make_unique<Wrapped<string>>());
        kept->push_back(std::make_unique<Wrapped<std::vector<int>>>());
        static_cast<Wrapped<string> &>(*kept->front()).inner = long_text;
        return 0;
    });
}
/* A header of its own before the object, the length first. */
struct Measured {
    long values[4];
    static void *operator new(size_t size) {
        auto *block = static_cast<size_t *>(malloc(size + sizeof(size_t)));
        *block = size;
        return block + 1;
    }
    static void operator delete(void *object) { free(static_cast<size_t *>(object) - 1); }
};
KEPT(behind_its_length, new Measured)
CASE(behind_its_length_lost) { sink = unreachable_by([] { return new Measured; }); sink = nullptr; }
CASE(a_member_of_an_object_that_is_lost) {
    static long *kept;
    auto *item = possible_by([] { return new Item; });
    item->value = -1;
    kept = &item->value;
    OPAQUE(kept);
}
static std::map<string, string> &registry() {
    static auto *own = new std::map<string, string>;
    return *own;
}
CASE(a_registry_that_is_never_destroyed) { reachable_by([] { registry()[long_text] = long_text; return 0; }); }

/* Chunks of this resource are known by their ends. */
CASE(a_resource_of_memory) {
    static std::pmr::monotonic_buffer_resource *volatile kept;
    kept = reachable_by([] { return new std::pmr::monotonic_buffer_resource; });
    possible_by([] { sink = kept->allocate(50); return 0; });
    sink = nullptr;
}

/* Exceptions: whoever holds one points behind the header that the runtime keeps before it. */
CASE(an_exception_kept) {
    static std::exception_ptr *volatile kept;
    kept = reachable_by([] { return new std::exception_ptr; });
    possible_by([] { *kept = std::make_exception_ptr(5L); return 0; });
}
CASE(an_exception_that_was_handled) {
    try {
        throw std::runtime_error(long_text);
    } catch (const std::exception &) {
        lose(10);
    }
}
CASE(an_owner_left_by_an_exception) {
    try {
        std::vector<string> own(10, long_text);
        auto *raw = unreachable_by([] { return new string; });
        indirect_by([raw] { raw->assign(long_text); return 0; });
        OPAQUE(raw);
        throw 5;
    } catch (int) {
    }
}

/* Threads. */
static thread_local std::vector<string> strings_of_thread;
static thread_local std::map<int, string> map_of_thread;
CASE(a_result_that_nobody_asked_for) {
    reachable_by([] {
        std::promise<string> promise;
        global = new std::future<string>(promise.get_future());
        promise.set_value(long_text);
        return 0;
    });
}
CASE(a_promise_lost) {
    auto *lost = unreachable_by([] { return static_cast<std::promise<int> *>(malloc(sizeof(std::promise<int>))); });
    indirect_by([lost] { new (lost) std::promise<int>; return 0; });
    OPAQUE(lost);
}
CASE(objects_of_a_thread_that_ended) {
    static thread_local std::vector<string> *own;
    std::thread([] {
        own = unreachable_by([] { return new std::vector<string>; });
        indirect_by([] { own->assign(5, long_text); return 0; });
        OPAQUE(own);
    }).join();
}
CASE(an_object_destroyed_with_its_thread) {
    std::thread([] { strings_of_thread.assign(5, long_text); }).join();
    lose(10);
}
CASE(an_object_of_a_thread_that_waits) {
    std::thread([] {
        reachable_by([] { for (int i = 0; i < 20; i++) map_of_thread[i] = long_text; return 0; });
        __atomic_store_n(&global, (void *)&map_of_thread, __ATOMIC_RELEASE);
        for (;;) pause();
    }).detach();
    while (__atomic_load_n(&global, __ATOMIC_ACQUIRE) == nullptr) std::this_thread::yield();
    global = nullptr;
}
CASE(everything_destroyed) {
    std::map<string, std::vector<string>> all;
    for (int i = 0; i < 50; i++) all[std::to_string(i) + long_text].assign(3, long_text);
}

int main(int argc, char **argv) { return run_cases(argc, argv); }
