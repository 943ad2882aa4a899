/* Unwind tables that go away while they are read: three threads, ROUNDS times each, register
 * a large table, deregister it and unmap it; main allocates below code without any table, so
 * that its captures look through those of the others. One block of 32 bytes is kept in
 * kept_at_last. Status 0.
 * flags: -pthread
 */
#include "common.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

void __register_frame(void *);
void __deregister_frame(void *);

#define ENTRIES 20000
#define THREADS 3
static size_t length;
static unsigned char *pattern;
static long rounds;
static atomic_int running = THREADS;

static unsigned char *put(unsigned char *at, uint64_t value, size_t size) {
    memcpy(at, &value, size);
    return at + size;
}

/* A CIE and ENTRIES FDEs of 16 bytes of code each, at addresses where no code is. */
static void describe(void) {
    static const unsigned char common[] = {
        1, 0,           /* version, no augmentation */
        1, 0x78, 16,    /* code alignment 1, data alignment -8, return address in column 16 */
        0x0c, 7, 8,     /* CFA = rsp + 8 */
        0x90, 1, 0, 0,  /* return address at CFA - 8 */
    };
    length = 4 + 4 + sizeof common + (size_t)ENTRIES * 32 + 4;
    pattern = (unsigned char *)calloc(1, length);
    MUST(pattern != NULL);
    unsigned char *at = put(put(pattern, 4 + sizeof common, 4), 0, 4);
    memcpy(at, common, sizeof common);
    at += sizeof common;
    for (uint64_t i = 0; i < ENTRIES; i++) {
        at = put(at, 28, 4);
        at = put(at, (uint64_t)(at - pattern), 4);
        at = put(put(put(at, 0x100000 + i * 16, 8), 16, 8), 0, 8);
    }
}

static void *churn(void *unused) {
    for (long i = 0; i < rounds; i++) {
        void *table = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        MUST(table != MAP_FAILED);
        memcpy(table, pattern, length);
        __register_frame(table);
        /* For longer and shorter, so that it ends anywhere in main's search. */
        for (volatile long left = i % 16 * 20000; left > 0; left--) {}
        __deregister_frame(table);
        MUST(munmap(table, length) == 0);
    }
    running--;
    return unused;
}

static void moment(void) { brief(32); }
FRAME static void kept_at_last(void) { keep(32); }

int main(int argc, char **argv) {
    rounds = number_argument(argc, argv, 1, 1000);
    static const unsigned char code[] = {
        0x55,              /* push rbp */
        0x48, 0x89, 0xe5,  /* mov rbp, rsp */
        0xff, 0xd7,        /* call rdi */
        0x5d, 0xc3,        /* pop rbp; ret */
    };
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(page != MAP_FAILED);
    memcpy(page, code, sizeof code);
    MUST(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
    void (*by_code)(void (*)(void));
    memcpy(&by_code, &page, sizeof page);
    describe();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) MUST(pthread_create(&threads[i], NULL, churn, NULL) == 0);
    while (running > 0) by_code(moment);
    for (int i = 0; i < THREADS; i++) MUST(pthread_join(threads[i], NULL) == 0);
    by_code(kept_at_last);
    free(pattern);
    say("%ld rounds\n", rounds);
    return 0;
}
