/* The program's own use of signals: every signal that can be handled is its own. Prints the
 * dispositions and the mask at start, the number of threads while it has one, what its handlers
 * saw for each signal, and in which thread a signal to the process arrived when only one thread
 * had it unblocked. Keeps 5 blocks of 104 bytes. Status 0.
 */
#include "common.h"
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static volatile long seen[65], where[65];

static void handler(int signal) {
    where[signal] = syscall(SYS_gettid);
    seen[signal]++; /* Last: who waits for it reads the other. */
}

static int threads_now(void) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    while (tasks && readdir(tasks)) count++;
    if (tasks) closedir(tasks);
    return count - 2;
}

static volatile long receiver;
static int to_receiver[2], from_receiver[2];

static void *receive(void *unused) {
    char byte;
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGUSR1);
    sigaddset(&only, SIGUSR2);
    receiver = syscall(SYS_gettid);
    brief(77);
    MUST(pthread_sigmask(SIG_UNBLOCK, &only, NULL) == 0);
    MUST(write(from_receiver[1], "r", 1) == 1);
    while (read(to_receiver[0], &byte, 1) != 1) continue;
    return unused;
}

int main(void) {
    sigset_t mask, all;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    for (int s = 1; s < 65; s++) {
        struct sigaction action;
        if (sigaction(s, NULL, &action) != 0) continue;
        if (action.sa_handler != SIG_DFL || sigismember(&mask, s) == 1) say("signal %d: %s%s\n", s, action.sa_handler == SIG_IGN ? "ignored" : "handled", sigismember(&mask, s) == 1 ? ", blocked" : "");
    }
    for (int i = 0; i < 200000; i++) brief(1 + (size_t)i % 64);
    for (int i = 0; i < 5; i++) keep(104);
    say("%d thread\n", threads_now());

    for (int s = 1; s < 65; s++) {
        if (s == SIGKILL || s == SIGSTOP) continue;
        struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
        if (sigaction(s, &action, NULL) != 0) continue;
        MUST(kill(getpid(), s) == 0);
        MUST(seen[s] == 1);
        brief(10);
    }
    sigfillset(&all);
    MUST(pthread_sigmask(SIG_SETMASK, &all, NULL) == 0);
    pthread_t thread;
    MUST(pipe(to_receiver) == 0 && pipe(from_receiver) == 0);
    MUST(pthread_create(&thread, NULL, receive, NULL) == 0);
    char byte;
    MUST(read(from_receiver[0], &byte, 1) == 1);
    for (int i = 0; i < 200000; i++) brief(1 + (size_t)i % 64);
    MUST(kill(getpid(), SIGUSR1) == 0);
    while (seen[SIGUSR1] < 2) sched_yield();
    MUST(where[SIGUSR1] == receiver);
    /* Blocked everywhere but there: SIGTERM stays pending for sigwait in this thread. */
    sigset_t term;
    int got = 0;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    MUST(kill(getpid(), SIGTERM) == 0);
    MUST(sigwait(&term, &got) == 0 && got == SIGTERM && seen[SIGTERM] == 1);
    MUST(write(to_receiver[1], "e", 1) == 1);
    pthread_join(thread, NULL);
    say("every signal arrived where it should\n");
    return 0;
}
