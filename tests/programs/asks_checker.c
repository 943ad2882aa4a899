/* Asks LeakSanitizer's interface while it runs whether it leaks, and prints each answer. Modes:
   states: with a block that is held, one that is lost, one that is ignored, one that is suppressed;
   ends: __lsan_do_leak_check with a lost block; after: with none, then a block is lost;
   threads: three threads ask at once, each three times, while a fourth allocates;
   handler: asked in a signal handler; child: asked in a fork child that leaks;
   filtered: asked under a system-call filter;
   region N: a block is held by a pointer in a root region, which is declared twice and taken back
   N times.
   flags: -rdynamic -pthread */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WEAK __attribute__((weak))
#define NOINLINE __attribute__((noinline))
WEAK void __lsan_disable(void);
WEAK void __lsan_enable(void);
WEAK void __lsan_ignore_object(const void *);
WEAK void __lsan_do_leak_check(void);
WEAK int __lsan_do_recoverable_leak_check(void);
WEAK void __lsan_register_root_region(const void *, size_t);
WEAK void __lsan_unregister_root_region(const void *, size_t);
WEAK const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void) { return "leak:^suppressed_by_name$\n"; }

static void *volatile held;
static void *volatile sink;

/* Overwrites what earlier calls left on the stack. */
NOINLINE static void wipe(void) {
    volatile char room[8192];
    memset((char *)room, 0, sizeof room);
}

NOINLINE static void lose(size_t size) {
    char **block = malloc(size);
    *block = malloc(24); /* lost with it */
    sink = block;
    sink = NULL;
}

NOINLINE void *suppressed_by_name(void) { return malloc(40); }

NOINLINE static int ask(void) {
    wipe();
    return __lsan_do_recoverable_leak_check();
}

NOINLINE static void ask_and_print(const char *when) { printf("%s %d\n", when, ask()); }

static void on_signal(int number) {
    (void)number;
    ask_and_print("handler");
}

static atomic_int stop, answers;

static void *asks(void *unused) {
    (void)unused;
    for (int i = 0; i < 3; i++) {
        answers += ask();
    }
    return NULL;
}

static void *allocates(void *unused) {
    (void)unused;
    while (!stop) {
        void *volatile block = malloc(100);
        free(block);
    }
    return NULL;
}

static void states(void) {
    held = malloc(100);
    ask_and_print("held");
    void *block = malloc(48);
    __lsan_ignore_object(block);
    block = NULL;
    ask_and_print("ignored");
    sink = suppressed_by_name();
    sink = NULL;
    ask_and_print("suppressed");
    __lsan_disable();
    lose(56);
    __lsan_enable();
    ask_and_print("disabled");
    lose(64);
    ask_and_print("lost");
}

static void threads(void) {
    pthread_t asking[3], other;
    lose(64);
    pthread_create(&other, NULL, allocates, NULL);
    for (int i = 0; i < 3; i++) {
        pthread_create(&asking[i], NULL, asks, NULL);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(asking[i], NULL);
    }
    stop = 1;
    pthread_join(other, NULL);
    printf("answers %d\n", answers);
}

static void ended_threads(void) {
    pthread_t thread;
    stop = 1;
    for (int i = 0; i < 3; i++) {
        pthread_create(&thread, NULL, allocates, NULL);
        pthread_join(thread, NULL);
    }
    ask_and_print("ended");
}

NOINLINE static void *in_region(void) { return malloc(64); }

/* A lost block of which a part is a root region, declared twice and taken back so many times. */
NOINLINE static void region(int back) {
    char **pool = malloc(4096);
    pool[100] = in_region();
    __lsan_register_root_region((char *)pool + 512, 1024);
    __lsan_register_root_region((char *)pool + 512, 1024);
    for (int i = 0; i < back; i++) {
        __lsan_unregister_root_region((char *)pool + 512, 1024);
    }
}

static void filtered(void) {
    struct sock_filter allow[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    struct sock_fprog program = {1, allow};
    lose(64);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        puts("no filter");
    }
    ask_and_print("filtered");
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    setvbuf(stdout, NULL, _IONBF, 0);
    if (!__lsan_do_leak_check) {
        puts("no sanitizer");
        return 0;
    }
    if (!strcmp(mode, "states")) {
        states();
    } else if (!strcmp(mode, "ends")) {
        lose(64);
        wipe();
        __lsan_do_leak_check();
        puts("went on");
    } else if (!strcmp(mode, "after")) {
        held = malloc(32);
        __lsan_do_leak_check();
        held = NULL;
        lose(64);
        __lsan_do_leak_check();
        puts("went on");
    } else if (!strcmp(mode, "threads")) {
        threads();
    } else if (!strcmp(mode, "ended")) {
        ended_threads();
    } else if (!strcmp(mode, "handler")) {
        signal(SIGUSR1, on_signal);
        lose(64);
        raise(SIGUSR1);
    } else if (!strcmp(mode, "child")) {
        pid_t child = fork();
        if (child == 0) {
            lose(64);
            ask_and_print("child");
            _exit(0);
        }
        waitpid(child, NULL, 0);
        ask_and_print("parent");
    } else if (!strcmp(mode, "region")) {
        region(atoi(argv[2]));
    } else if (!strcmp(mode, "filtered")) {
        filtered();
    }
    return 0;
}
