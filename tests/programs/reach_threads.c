/* What is reachable at the end of programs with threads; see reach.h. */
#include "reach.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

static int ready, tids[128];
static int never[2];

FRAME static void wait_for(int count) {
    while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) < count) sched_yield();
}
FRAME static void is_ready(void) {
    static int places;
    tids[__atomic_fetch_add(&places, 1, __ATOMIC_RELAXED)] = gettid();
    __atomic_add_fetch(&ready, 1, __ATOMIC_RELEASE);
}

/* Waits until the kernel says of a thread that its state is this one. */
FRAME static void wait_for_state(int tid, char wanted) {
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    for (char *state = NULL; state == NULL || state[2] != wanted; sched_yield()) {
        int file = open(path, O_RDONLY);
        ssize_t size = read(file, text, sizeof text - 1);
        close(file);
        MUST(size > 0);
        text[size] = 0;
        state = strrchr(text, ')');
        MUST(state != NULL);
    }
}

/* Waits until so many threads are ready and sleep in the kernel. */
FRAME static void wait_for_sleeping(int count) {
    wait_for(count);
    for (int i = 0; i < count; i++) wait_for_state(tids[i], 'S');
}

/* Waits in the kernel for ever, a block only in a register that calls preserve. */
FRAME static void wait_holding(void *block) {
    register void *kept __asm__("rbx") = block;
    __asm__ volatile("" : "+r"(kept));
    is_ready();
    for (;;) {
        char byte;
        __asm__ volatile("" : "+r"(kept));
        (void)!read(never[0], &byte, 1);
    }
}

static __thread void *own;
static pthread_key_t key, high_key;

static void *kept_stack;
static void *blocked(void *argument) {
    void *volatile on_stack = reachable(20);
    own = reachable(30);
    OPAQUE(own);
    pthread_setspecific(key, reachable(40));
    pthread_setspecific(high_key, reachable(45));
    lose(50);
    scrub();
    wait_holding(argument != NULL ? NULL : reachable(60));
    return on_stack;
}

static void *spinning(void *argument) {
    register void *kept __asm__("r12") = reachable(70);
    __asm__ volatile("" : "+r"(kept));
    lose(80);
    scrub();
    is_ready();
    for (;;) __asm__ volatile("" : "+r"(kept));
    return kept;
}

static void in_handler(int signal) {
    void *volatile kept = reachable(90);
    is_ready();
    for (;;) pause();
    sink = kept;
}

FRAME static void handler(int on_alternate_stack) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = in_handler;
    action.sa_flags = on_alternate_stack ? SA_ONSTACK : 0;
    MUST(sigaction(SIGUSR1, &action, NULL) == 0);
}

static char alternate[64 << 10];
static void *interrupted(void *argument) {
    void *volatile kept = reachable(100);
    if (argument != NULL) {
        stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
        MUST(sigaltstack(&stack, NULL) == 0);
    }
    raise(SIGUSR1);
    return kept;
}

FRAME static void start(void *(*run)(void *), void *argument) {
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, run, argument) == 0);
    pthread_detach(thread);
}

FRAME static void keys(void) {
    MUST(pipe(never) == 0);
    MUST(pthread_key_create(&key, NULL) == 0);
    for (int i = 0; i < 40; i++) MUST(pthread_key_create(&high_key, NULL) == 0);
}

/* Waits in the kernel for ever, a block only among the arguments of its call. */
FRAME static void wait_reading(void *block) {
    __asm__ volatile("xor %%ebx, %%ebx; xor %%ebp, %%ebp; 1: xor %%eax, %%eax; syscall; jmp 1b"
                     : : "D"(never[0]), "S"(block), "d"(1) : "rbx");
}
static void *reads(void *argument) {
    is_ready();
    wait_reading(reachable(90));
    return NULL;
}

CASE(a_thread_that_reads_into_a_block) { keys(); start(reads, NULL); wait_for_sleeping(1); }
CASE(a_thread_that_waits) { keys(); start(blocked, NULL); wait_for_sleeping(1); }
CASE(a_thread_that_waits_with_all_in_memory) { keys(); start(blocked, &key); wait_for_sleeping(1); }
CASE(a_thread_that_spins) { start(spinning, NULL); wait_for(1); }
CASE(a_thread_in_a_handler) { handler(0); start(interrupted, NULL); wait_for_sleeping(1); }
CASE(a_thread_in_a_handler_on_an_alternate_stack) { handler(1); start(interrupted, alternate); wait_for_sleeping(1); }
CASE(sixty_four_that_wait_one_that_spins_one_in_a_handler) {
    keys();
    handler(0);
    for (int i = 0; i < 64; i++) start(blocked, NULL);
    start(spinning, NULL);
    start(interrupted, NULL);
    wait_for(66);
}

static void *ends(void *argument) {
    void *volatile stale[64];
    for (int i = 0; i < 64; i++) stale[i] = argument;
    return stale[5] == argument ? NULL : argument;
}
CASE(stale_words_on_the_stack_of_an_ended_thread) {
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, ends, unreachable(100)) == 0);
    pthread_join(thread, NULL);
}
static void *leaves_own(void *argument) {
    own = unreachable(100);
    OPAQUE(own);
    return NULL;
}
CASE(thread_local_of_an_ended_thread) {
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, leaves_own, NULL) == 0);
    pthread_join(thread, NULL);
}
static void clean_up(void *value) { free(value); }
static void *sets_key(void *argument) {
    pthread_setspecific(key, malloc(10));
    return NULL;
}
CASE(cleaned_up_by_a_key) {
    pthread_t thread;
    MUST(pthread_key_create(&key, clean_up) == 0);
    MUST(pthread_create(&thread, NULL, sets_key, NULL) == 0);
    pthread_join(thread, NULL);
    lose(10);
    scrub();
}
static int ends_first;
static void *exits(void *argument) {
    void *volatile kept = reachable(20);
    if (ends_first) wait_for_state(getpid(), 'Z');
    told();
    exit(kept == NULL);
}
CASE(another_thread_ends_the_process) {
    void *volatile kept = reachable(10);
    start(exits, NULL);
    for (;;) pause();
    sink = kept;
}
static void *waits_for_key(void *argument) {
    pthread_setspecific(key, reachable(10));
    is_ready();
    for (;;) pause();
    return NULL;
}
CASE(the_main_thread_has_ended) {
    MUST(pthread_key_create(&key, NULL) == 0);
    start(waits_for_key, NULL);
    wait_for_sleeping(1);
    void *volatile lost = unreachable(30);
    ends_first = 1;
    start(exits, lost == NULL ? (void *)1 : NULL);
    pthread_exit(NULL);
}
CASE(fork_without_exec) {
    keys();
    start(blocked, NULL);
    wait_for_sleeping(1);
    pid_t child = fork();
    if (child == 0) _exit(0);
}
CASE(stacks_that_the_program_gave) {
    pthread_attr_t attributes;
    pthread_t thread;
    void *stack = reachable(256 << 10);
    kept_stack = stack;
    OPAQUE(kept_stack);
    keys();
    pthread_attr_init(&attributes);
    void *aligned = (void *)(((uintptr_t)stack + 4095) & ~4095ul);
    MUST(pthread_attr_setstack(&attributes, aligned, 192 << 10) == 0);
    MUST(pthread_create(&thread, &attributes, blocked, NULL) == 0);
    wait_for_sleeping(1);
}

int main(int argc, char **argv) { return run_cases(argc, argv); }
