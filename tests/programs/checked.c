/* Written for LeakSanitizer: weak references to its interface, own suppressions and options.
   Modes: ignore, disable, nested, threads, freed, asks, off, regions.
   flags: -rdynamic */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEAK __attribute__((weak))
WEAK void __lsan_disable(void);
WEAK void __lsan_enable(void);
WEAK void __lsan_ignore_object(const void *);
WEAK void __lsan_do_leak_check(void);
WEAK int __lsan_do_recoverable_leak_check(void);
WEAK void __lsan_register_root_region(const void *, size_t);
WEAK void __lsan_unregister_root_region(const void *, size_t);

static int off;

const char *__lsan_default_suppressions(void) { return "leak:by_agreement\nleak:of_nobody\n"; }
const char *__lsan_default_options(void) { return "exitcode=7:verbosity=0"; }
int __lsan_is_turned_off(void) { return off; }

static void *volatile sink;

__attribute__((noinline)) static void *wanted(size_t size) { return sink = malloc(size); }
__attribute__((noinline)) static void *unwanted(size_t size) { return sink = malloc(size); }
__attribute__((noinline)) static void *by_agreement(size_t size) { return sink = malloc(size); }

static void *other(void *unused) {
    (void)unused;
    unwanted(64);
    return NULL;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    if (!__lsan_disable || !__lsan_ignore_object) {
        puts("no sanitizer");
        return 0;
    }
    if (!strcmp(mode, "ignore")) {
        char *inner = wanted(100);
        unwanted(64);
        __lsan_ignore_object(inner + 50);
        __lsan_ignore_object(NULL);
        unwanted(64);
    } else if (!strcmp(mode, "disable")) {
        __lsan_disable();
        wanted(100);
        sink = realloc(wanted(50), 200);
        __lsan_enable();
        unwanted(64);
    } else if (!strcmp(mode, "nested")) {
        __lsan_enable(); /* one too many: nothing happens */
        __lsan_disable();
        __lsan_disable();
        wanted(100);
        __lsan_enable();
        wanted(100);
        __lsan_enable();
        unwanted(64);
    } else if (!strcmp(mode, "threads")) {
        pthread_t thread;
        __lsan_disable();
        pthread_create(&thread, NULL, other, NULL);
        pthread_join(thread, NULL);
        wanted(100);
        __lsan_enable();
    } else if (!strcmp(mode, "freed")) {
        void *block = wanted(100);
        __lsan_ignore_object(block);
        free(block);
        for (int i = 0; i < 64; i++) {
            free(wanted(1000)); /* time passes */
        }
        if (unwanted(100) != block) {
            puts("another place");
        }
    } else if (!strcmp(mode, "agreed")) {
        by_agreement(100);
    } else if (!strcmp(mode, "asks")) {
        printf("%d\n", __lsan_do_recoverable_leak_check());
        __lsan_do_leak_check();
        unwanted(64);
    } else if (!strcmp(mode, "off")) {
        off = 1;
        unwanted(64);
    } else if (!strcmp(mode, "regions")) {
        static char page[4096];
        __lsan_register_root_region(page, sizeof page);
        __lsan_unregister_root_region(page, sizeof page);
        unwanted(64);
    }
    return 0;
}
