/* A handler of SIGALRM forks, at any instant of a churn; the child returns into what was
 * interrupted, churns on and ends. forks_in_handler N [fork|_Fork|syscall]: so many children, one
 * after the other.
 * Then keeps 10 blocks of 56 bytes in after_forks(). Status 0 if every child ended by itself.
 * Needs reentrant_allocator.
 */
#include "common.h"
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

/* glibc 2.34 and later. */
pid_t _Fork(void) __attribute__((weak));
static pid_t syscall_fork(void) { return (pid_t)syscall(SYS_fork); }

static pid_t (*fork_how)(void) = fork;
static volatile long forks, wanted, bad, child;

/* One shot at a time: with an interval the handlers might leave no time between them. */
static void arm(void) {
    struct itimerval once = {{0, 0}, {0, 300}};
    MUST(setitimer(ITIMER_REAL, &once, NULL) == 0);
}

static void on_alarm(int signal) {
    (void)signal;
    forks++;
    pid_t pid = fork_how();
    if (pid == 0) {
        child = 1;
        return;
    }
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    if (status != 0) bad++;
    if (forks < wanted) arm();
}

FRAME static void churn(int depth) {
    brief(1 + (size_t)depth * 7);
    if (depth > 0) churn(depth - 1);
    brief(30);
}
FRAME static void after_forks(void) { for (int i = 0; i < 10; i++) keep(56); }

int main(int argc, char **argv) {
    wanted = number_argument(argc, argv, 1, 100);
    const char *how = argc > 2 ? argv[2] : "fork";
    if (strcmp(how, "_Fork") == 0 && _Fork) fork_how = _Fork;
    if (strcmp(how, "syscall") == 0) fork_how = syscall_fork;
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    MUST(sigaction(SIGALRM, &action, NULL) == 0);
    arm();
    while (forks < wanted && !child) churn(20);
    if (child) {
        for (int i = 0; i < 1000; i++) churn(20);
        _exit(0);
    }
    after_forks();
    say("%ld bad\n", bad);
    return bad != 0;
}
