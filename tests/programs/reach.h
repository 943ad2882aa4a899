/* Cases of what is reachable at the end. A block made by unreachable(), indirect(),
 * possible() or reachable() must be found to be that. Without an argument the program
 * prints its cases; with one it runs it and prints how many blocks of each it made. */
#pragma once
#include "common.h"

enum { UNREACHABLE, INDIRECT, POSSIBLE, REACHABLE };
static long made[4];

static inline void *checked(int what, void *block) {
    MUST(block != NULL);
    __atomic_add_fetch(&made[what], 1, __ATOMIC_RELAXED);
    return block;
}

#define MAKER __attribute__((noinline, noclone, unused)) static
MAKER void *unreachable(size_t size) { return checked(UNREACHABLE, calloc(1, size)); }
MAKER void *indirect(size_t size) { return checked(INDIRECT, calloc(1, size)); }
MAKER void *possible(size_t size) { return checked(POSSIBLE, calloc(1, size)); }
MAKER void *reachable(size_t size) { return checked(REACHABLE, calloc(1, size)); }

/* A block that is lost, and none of its address left in a register or below. */
FRAME static void lose(size_t size) {
    sink = unreachable(size);
    sink = NULL;
}
FRAME static void scrub(void) {
    char volatile room[4096];
    for (size_t i = 0; i < sizeof room; i++) room[i] = 0;
    __asm__ volatile("xor %%eax, %%eax; xor %%ecx, %%ecx; xor %%edx, %%edx; xor %%esi, %%esi; xor %%edi, %%edi;"
                     "xor %%r8d, %%r8d; xor %%r9d, %%r9d; xor %%r10d, %%r10d; xor %%r11d, %%r11d"
                     : : : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
}

struct one_case {
    const char *name;
    void (*run)(void);
};
static struct one_case cases[128];
static int case_count;

#define CASE(which)                                                               \
    static void which(void);                                                      \
    __attribute__((constructor)) static void add_##which(void) {                  \
        cases[case_count].name = #which;                                          \
        cases[case_count++].run = which;                                          \
    }                                                                             \
    FRAME static void which(void)

/* The compiler must not know what a variable holds. */
#define OPAQUE(variable) __asm__ volatile("" : "+r"(variable) : : "memory")

FRAME static void told(void) {
    say("unreachable %ld indirect %ld possible %ld reachable %ld\n", made[0], made[1], made[2], made[3]);
}

FRAME static int run_cases(int argc, char **argv) {
    if (argc < 2) {
        for (int i = 0; i < case_count; i++) say("%s\n", cases[i].name);
        return 0;
    }
    for (int i = 0; i < case_count; i++) {
        if (strcmp(cases[i].name, argv[1]) == 0) {
            cases[i].run();
            told();
            return 0;
        }
    }
    return 92;
}
