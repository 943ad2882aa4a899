/* Ways to end. endings HOW: keeps 10 blocks of 64 bytes by last_words() and makes 3 brief ones,
 * then ends by HOW: abort, segv, term, kill, bus, ill, fpe, pipe, _exit, _Exit, quick_exit,
 * syscall, exec (which starts this program again with `second`, status 7), thread (a signal in
 * another thread), return. Status 6 where it has one.
 */
#include "common.h"
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

FRAME static void last_words(void) {
    for (int i = 0; i < 10; i++) keep(64);
    for (int i = 0; i < 3; i++) brief(16);
}

static void *faulty(void *unused) {
    last_words();
    *(volatile int *)8 = 1;
    return unused;
}

static void at_quick_exit_keep(void) { keep(72); }

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "return";
    pthread_t thread;
    say("%s\n", how);
    if (strcmp(how, "thread") == 0) {
        MUST(pthread_create(&thread, NULL, faulty, NULL) == 0);
        pthread_join(thread, NULL);
    }
    last_words();
    if (strcmp(how, "abort") == 0) abort();
    if (strcmp(how, "segv") == 0) *(volatile int *)8 = 1;
    if (strcmp(how, "term") == 0) raise(SIGTERM);
    if (strcmp(how, "kill") == 0) raise(SIGKILL);
    if (strcmp(how, "bus") == 0) raise(SIGBUS);
    if (strcmp(how, "ill") == 0) __builtin_trap();
    if (strcmp(how, "fpe") == 0) raise(SIGFPE);
    if (strcmp(how, "pipe") == 0) {
        int ends[2];
        MUST(pipe(ends) == 0);
        close(ends[0]);
        if (write(ends[1], "x", 1) < 0) return 9;
    }
    if (strcmp(how, "_exit") == 0) _exit(6);
    if (strcmp(how, "_Exit") == 0) _Exit(6);
    if (strcmp(how, "quick_exit") == 0) {
        at_quick_exit(at_quick_exit_keep);
        quick_exit(6);
    }
    if (strcmp(how, "syscall") == 0) syscall(SYS_exit_group, 6);
    if (strcmp(how, "exec") == 0) {
        execl("/proc/self/exe", argv[0], "second", (char *)NULL);
        _exit(92);
    }
    return strcmp(how, "second") == 0 ? 7 : 6;
}
