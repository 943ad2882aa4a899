/* Shared by the benchmark programs: a seeded generator, a clock, arguments.
 *
 * Nothing here allocates, so that a program's blocks are the ones its own
 * source names. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NOINLINE __attribute__((noinline, noclone))

/* Keeps the optimizer from seeing through a pointer, and with it from removing
 * a malloc whose block is only freed. */
#define OPAQUE(p) __asm__ volatile("" : "+r"(p) : : "memory")

/* Follows a call: the call is then not in tail position and keeps its frame. */
#define AFTER_CALL() __asm__ volatile("" : : : "memory")

/* xorshift64*: the same numbers on every machine. State must not be 0. */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545F4914F6CDD1DULL;
}

/* splitmix64's finalizer: a hash of one word. */
static inline uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xBF58476D1CE4E5B9ULL;
    x ^= x >> 27;
    x *= 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
}

static inline double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The i-th argument as a number, or `otherwise` where it is absent. */
static inline uint64_t argument(int argc, char **argv, int i, uint64_t otherwise)
{
    if (argc <= i)
        return otherwise;
    char *end;
    uint64_t value = strtoull(argv[i], &end, 10);
    if (*argv[i] == 0 || *end != 0) {
        fprintf(stderr, "%s: argument %d: not a number: %s\n", argv[0], i, argv[i]);
        exit(2);
    }
    return value;
}

#endif
