/* Two threads that free each other's blocks.
 *
 *     exchange [THREADS [PAIRS]]       default 2 threads, 4,000,000 pairs in sum
 *
 * Each thread allocates, passes the block on through a lock-free queue with one
 * producer and one consumer, and frees what the other passed to it. With THREADS
 * = 1 one thread does the same work alone, as its own partner, with half the
 * pairs: so pairs per second of 2 ÷ of 1 is how the throughput grows with a
 * second core. One line on stdout: `pairs=N seconds=S pairs_per_second=R`. */
#define _GNU_SOURCE
#include "bench.h"
#include <pthread.h>
#include <stdatomic.h>

#define SLOTS 4096u
#define LINE 128
#define AHEAD 8
#define BATCH 6

/* Head and tail on lines of their own, each with the other side's last seen
 * value beside it: the queue itself costs next to nothing. */
struct queue {
    _Alignas(LINE) _Atomic uint64_t head;
    uint64_t tail_seen;
    _Alignas(LINE) _Atomic uint64_t tail;
    uint64_t head_seen;
    _Alignas(LINE) void *slots[SLOTS];
};

static struct queue queues[2];
static pthread_barrier_t start_line;

static inline int push(struct queue *q, void *block)
{
    uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    if (head - q->tail_seen == SLOTS) {
        q->tail_seen = atomic_load_explicit(&q->tail, memory_order_acquire);
        if (head - q->tail_seen == SLOTS)
            return 0;
    }
    q->slots[head % SLOTS] = block;
    atomic_store_explicit(&q->head, head + 1, memory_order_release);
    return 1;
}

static inline void *pop(struct queue *q)
{
    uint64_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    if (tail == q->head_seen) {
        q->head_seen = atomic_load_explicit(&q->head, memory_order_acquire);
        if (tail == q->head_seen)
            return NULL;
    }
    void *block = q->slots[tail % SLOTS];
    /* The other core wrote these blocks last; ask for a later one while this
     * one is worked on. A stale slot's address does no harm. */
    __builtin_prefetch(q->slots[(tail + AHEAD) % SLOTS], 1);
    atomic_store_explicit(&q->tail, tail + 1, memory_order_release);
    return block;
}

/* Waiting must not burn the CPU time that is measured. */
static void wait_a_little(void)
{
    struct timespec t = {0, 20000};
    nanosleep(&t, NULL);
}

struct work {
    struct queue *out, *in;
    uint64_t pairs, state;
} __attribute__((aligned(LINE)));

/* A block is a small message: the sender computes it, the receiver works on it.
 * The computation stands for what a real pipeline does with its data; without it
 * the run would measure how fast two cores pass a cache line to each other, and
 * would not grow with cores even untraced. Each step needs the one before it,
 * across blocks, so that a core cannot overlap two blocks' work and one thread's
 * pairs cost what two threads' do. */
struct message {
    uint64_t value;
    char rest[];
};

#define ROUNDS 12

static inline void compute(struct work *w, uint64_t value)
{
    uint64_t state = w->state ^ value;
    for (int round = 0; round < ROUNDS; round++)
        state = mix(state + (uint64_t)round);
    w->state = state;
}

static NOINLINE void *make(struct work *w, uint64_t i)
{
    compute(w, i);
    /* 16 sizes, all of glibc's chunk size 48: with several, the counts in its
     * per-thread cache of 7 blocks a size drift apart, and the run would measure
     * the lock of its arenas. */
    struct message *block = malloc(25 + (w->state & 15));
    OPAQUE(block);
    block->value = w->state;
    return block;
}

static NOINLINE void *build(struct work *w, uint64_t i)
{
    void *block = make(w, i);
    AFTER_CALL();
    return block;
}

static NOINLINE void drop(struct work *w, struct message *block)
{
    compute(w, block->value);
    free(block);
    AFTER_CALL();
}

static NOINLINE void run(struct work *w)
{
    uint64_t freed = 0;
    for (uint64_t i = 0; i < w->pairs; i++) {
        void *block = build(w, i), *got;
        while (!push(w->out, block)) {
            if ((got = pop(w->in))) {
                drop(w, got);
                freed++;
            } else {
                wait_a_little();
            }
        }
        /* A few blocks in a row, so that both threads stay on their own lines
         * of the queue for a while; few enough for that same cache. */
        if (i % BATCH == BATCH - 1) {
            for (int n = 0; n < BATCH && (got = pop(w->in)); n++) {
                drop(w, got);
                freed++;
            }
        }
    }
    while (freed < w->pairs) {
        void *got = pop(w->in);
        if (got) {
            drop(w, got);
            freed++;
        } else {
            wait_a_little();
        }
    }
}

static void *thread(void *argument_)
{
    pthread_barrier_wait(&start_line);
    run(argument_);
    return NULL;
}

int main(int argc, char **argv)
{
    uint64_t threads = argument(argc, argv, 1, 2);
    uint64_t pairs = argument(argc, argv, 2, 4000000) / 2;
    if (threads != 1 && threads != 2) {
        fprintf(stderr, "usage: exchange [1|2 [PAIRS]]\n");
        return 2;
    }
    struct work work[2] = {
        {&queues[0], &queues[threads == 2], pairs, 0},
        {&queues[1], &queues[0], pairs, 0},
    };
    pthread_t ids[2];
    pthread_barrier_init(&start_line, NULL, (unsigned)threads + 1);
    for (uint64_t t = 0; t < threads; t++) {
        if (pthread_create(&ids[t], NULL, thread, &work[t])) {
            fprintf(stderr, "exchange: cannot start a thread\n");
            return 1;
        }
    }
    pthread_barrier_wait(&start_line);
    double begin = seconds_now();
    for (uint64_t t = 0; t < threads; t++)
        pthread_join(ids[t], NULL);
    double seconds = seconds_now() - begin;
    printf("pairs=%llu seconds=%.6f pairs_per_second=%.0f\n",
           (unsigned long long)(pairs * threads), seconds, (double)(pairs * threads) / seconds);
    return 0;
}
