/* A random call tree with blocks that die at random later times.
 *
 *     tree [PAIRS [THREADS [PLACES [SEED]]]]
 *                       default 3,000,000 pairs, 1 thread, 8,192 places, seed 9
 *
 * The tree is fixed by its seed: each node (an activation of one of 32 mutually
 * recursive functions, known by the path of call sites that leads to it) has a
 * hash, and the hash says which functions it may call and from which call sites.
 * The program walks it again and again, depth first, choosing children at
 * random, and allocates in every second activation on average. With the default
 * seed a full run has about 69,000 distinct frames (return address and parent)
 * and captures at a mean depth of 37, with two to three new frames between one
 * capture and the next.
 *
 * Every allocation goes to a random one of PLACES places and frees what was
 * there: the lifetime of a block is geometric, and the live set is modest. A
 * node always asks for the same size. Each of THREADS threads does PAIRS pairs
 * with places of its own. */
#define _GNU_SOURCE
#include "bench.h"
#include <pthread.h>
#include <sys/mman.h>

#define MAX_THREADS 1024
#define MAX_PLACES (1u << 20)
#define SITES_PER_FUNCTION 4
#define TRUNK 6
#define CROWN 32

struct walk {
    uint64_t random, pairs_left, seed, place_count;
    void **places;
} __attribute__((aligned(128)));

typedef void function(struct walk *w, uint64_t hash, unsigned depth);
static function *const functions[32];

/* How many functions a node may call: a trunk, then a crown that branches, then
 * twigs that end. The figures were chosen for the distinct frames and the mean
 * depth named above. */
static inline unsigned children(uint64_t hash, unsigned depth)
{
    unsigned dice = (unsigned)(hash >> 32) % 100;
    if (depth < TRUNK)
        return dice < 5 ? 2 : 1;
    if (depth < CROWN)
        return dice < 12 ? 0 : dice < 57 ? 1 : dice < 95 ? 2 : 3;
    return dice < 45 ? 0 : dice < 90 ? 1 : 2;
}

static inline void replace(struct walk *w, void *block)
{
    void **place = &w->places[(next_random(&w->random) >> 40) % w->place_count];
    free(*place);
    *place = block;
    w->pairs_left--;
}

/* One function: `pad` bytes of locals, four call sites that no optimizer may
 * merge, one place that allocates. Which function a site calls depends on the
 * node, so all 32 are mutually recursive. */
#define CALL(n, s)                                          \
    case s:                                                 \
        functions[child >> 59](w, child, depth + 1);        \
        __asm__ volatile("# " #n " site " #s : : : "memory"); \
        break;

#define FUNCTION(n, pad)                                                           \
    static NOINLINE void function_##n(struct walk *w, uint64_t hash, unsigned depth) \
    {                                                                              \
        volatile char locals[(pad) + 1];                                           \
        locals[0] = (char)depth;                                                   \
        uint64_t random = next_random(&w->random);                                 \
        if (w->pairs_left && (random & 1)) {                                       \
            char *block = malloc(16 + ((hash >> 8) & 15) * 16);                    \
            OPAQUE(block);                                                         \
            *block = locals[0];                                                    \
            replace(w, block);                                                     \
        }                                                                          \
        unsigned count = children(hash, depth);                                    \
        for (unsigned call = 0; call < count && w->pairs_left; call++) {           \
            unsigned choice = (unsigned)(random >> (16 + 8 * call)) % count;       \
            uint64_t child = mix(hash + 0x9E3779B97F4A7C15ULL * (choice + 1));     \
            switch ((hash + choice) % SITES_PER_FUNCTION) {                        \
                CALL(n, 0) CALL(n, 1) CALL(n, 2) CALL(n, 3)                        \
            }                                                                      \
        }                                                                          \
    }

FUNCTION(0, 0) FUNCTION(1, 0) FUNCTION(2, 8) FUNCTION(3, 16)
FUNCTION(4, 0) FUNCTION(5, 24) FUNCTION(6, 0) FUNCTION(7, 40)
FUNCTION(8, 0) FUNCTION(9, 8) FUNCTION(10, 64) FUNCTION(11, 0)
FUNCTION(12, 32) FUNCTION(13, 0) FUNCTION(14, 16) FUNCTION(15, 100)
FUNCTION(16, 0) FUNCTION(17, 48) FUNCTION(18, 0) FUNCTION(19, 8)
FUNCTION(20, 0) FUNCTION(21, 200) FUNCTION(22, 0) FUNCTION(23, 24)
FUNCTION(24, 0) FUNCTION(25, 16) FUNCTION(26, 0) FUNCTION(27, 80)
FUNCTION(28, 8) FUNCTION(29, 0) FUNCTION(30, 32) FUNCTION(31, 0)

static function *const functions[32] = {
    function_0,  function_1,  function_2,  function_3,  function_4,  function_5,
    function_6,  function_7,  function_8,  function_9,  function_10, function_11,
    function_12, function_13, function_14, function_15, function_16, function_17,
    function_18, function_19, function_20, function_21, function_22, function_23,
    function_24, function_25, function_26, function_27, function_28, function_29,
    function_30, function_31,
};

static void walk_all(struct walk *w)
{
    while (w->pairs_left)
        functions[0](w, mix(w->seed), 0);
    for (uint64_t i = 0; i < w->place_count; i++)
        free(w->places[i]);
}

static pthread_barrier_t all_done;

static void *thread(void *argument_)
{
    walk_all(argument_);
    /* No thread ends before all have walked: the peak of memory is that of all
     * of them together. */
    pthread_barrier_wait(&all_done);
    return NULL;
}

int main(int argc, char **argv)
{
    uint64_t pairs = argument(argc, argv, 1, 3000000);
    uint64_t threads = argument(argc, argv, 2, 1);
    uint64_t places = argument(argc, argv, 3, 8192);
    uint64_t seed = argument(argc, argv, 4, 9);
    if (threads == 0 || threads > MAX_THREADS || places == 0 || places > MAX_PLACES) {
        fprintf(stderr, "usage: tree [PAIRS [THREADS [PLACES [SEED]]]], "
                        "1 to %d threads, 1 to %u places\n", MAX_THREADS, MAX_PLACES);
        return 2;
    }
    static struct walk walks[MAX_THREADS];
    void **all = mmap(NULL, threads * places * sizeof *all, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) {
        perror("tree: mmap");
        return 1;
    }
    for (uint64_t t = 0; t < threads; t++) {
        walks[t].random = mix(seed + 1 + t) | 1;
        walks[t].pairs_left = pairs;
        walks[t].seed = seed;
        walks[t].place_count = places;
        walks[t].places = all + t * places;
    }
    if (threads == 1) {
        walk_all(&walks[0]);
        return 0;
    }
    static pthread_t ids[MAX_THREADS];
    pthread_barrier_init(&all_done, NULL, (unsigned)threads);
    for (uint64_t t = 0; t < threads; t++) {
        if (pthread_create(&ids[t], NULL, thread, &walks[t])) {
            fprintf(stderr, "tree: cannot start a thread\n");
            return 1;
        }
    }
    for (uint64_t t = 0; t < threads; t++)
        pthread_join(ids[t], NULL);
    return 0;
}
