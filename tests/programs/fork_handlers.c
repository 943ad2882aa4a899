/* Handlers of pthread_atfork that allocate, and a raw clone system call past them.
 *   prepare_keeps 16 bytes and parent_keeps 24: once per fork, in the parent
 *   child_keeps 40: once per fork, in the child; the child ends by _exit
 *   raw_keeps 56: 5 blocks in a child made by the system call alone, which libc does not see
 * N forks and one raw child. The handlers also free and make brief blocks. Status 0.
 */
#include "common.h"
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

FRAME static void prepare_keeps(void) { keep(16); }
FRAME static void parent_keeps(void) { keep(24); }
FRAME static void child_keeps(void) { keep(40); }
FRAME static void raw_keeps(void) { for (int i = 0; i < 5; i++) keep(56); }

static void *held;
static void prepare(void) { brief(5), prepare_keeps(), held = malloc(200); }
static void parent(void) { free(held), parent_keeps(); }
static void child(void) { free(held), child_keeps(), brief(6); }

static void wait_for(pid_t pid, int expected) {
    int status;
    MUST(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == expected);
}

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 5);
    MUST(pthread_atfork(prepare, parent, child) == 0);
    for (long i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid == 0) _exit(61);
        wait_for(pid, 61);
    }
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        brief(7);
        raw_keeps();
        syscall(SYS_exit_group, 62);
    }
    wait_for(pid, 62);
    say("%ld forks\n", count);
    return 0;
}
