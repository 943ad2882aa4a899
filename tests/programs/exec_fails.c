/* exec that fails, and a program that goes on: exec_fails WAY COUNT. COUNT times: keeps a block of
 * 40 bytes by between(), then calls exec by WAY in a way that fails. Then keeps 5 blocks of 24 by
 * after_all(). Says by how many MiB its address space has grown since the tenth call.
 *   missing: execve of a name that is not there; search: execvp of one; refused: execv of a
 *   directory; format: execve of a file without a format; list: execl and execlp; silent: as
 *   refused, but nothing is kept in between
 *   threads: as refused, with two more threads that keep one block of 56 a call by beside()
 *   killed: as threads, and ends by SIGKILL
 *   late: one refused execv, and the end by _exit(3) with no event after it
 *   succeed: refused ones, then execle of /bin/sh that says what it was given
 * Status 0 otherwise.
 */
#include "common.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

FRAME static void between(void) { keep(40); }
FRAME static void after_all(void) { for (int i = 0; i < 5; i++) keep(24); }
FRAME static void beside(void) { keep(56); }

static pthread_barrier_t barrier;
static long count;

static void *other(void *argument) {
    for (long i = 0; i < count; i++) {
        pthread_barrier_wait(&barrier);
        beside();
        pthread_barrier_wait(&barrier);
    }
    return argument;
}

static long address_space(void) {
    char text[64];
    int fd = open("/proc/self/statm", O_RDONLY);
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = 0;
    return atol(text) * 4 / 1024;
}

static void fail(const char *way) {
    char *argv[] = {"none", NULL}, *envp[] = {NULL};
    if (!strcmp(way, "missing")) MUST(execve("/no/such/file", argv, envp) == -1 && errno == ENOENT);
    else if (!strcmp(way, "search")) MUST(execvp("no-such-command-anywhere", argv) == -1 && errno == ENOENT);
    else if (!strcmp(way, "format")) MUST(execve("./without_format", argv, envp) == -1 && errno == ENOEXEC);
    else if (!strcmp(way, "list")) {
        MUST(execl("/proc/self", "a", "b", "c", "d", "e", "f", NULL) == -1 && errno == EACCES);
        MUST(execlp("no-such-command-anywhere", "a", NULL) == -1 && errno == ENOENT);
    } else MUST(execv("/proc/self", argv) == -1 && errno == EACCES);
}

int main(int argc, char **argv) {
    const char *way = argc > 1 ? argv[1] : "missing";
    count = number_argument(argc, argv, 2, 10);
    int threaded = !strcmp(way, "threads") || !strcmp(way, "killed"), silent = !strcmp(way, "silent");
    if (!strcmp(way, "format")) {
        int fd = open("without_format", O_CREAT | O_WRONLY | O_TRUNC, 0755);
        MUST(fd >= 0 && write(fd, "\1\2\3\4\5", 5) == 5 && close(fd) == 0);
    }
    pthread_t threads[2];
    pthread_barrier_init(&barrier, NULL, 3);
    for (int t = 0; t < 2 && threaded; t++) MUST(pthread_create(&threads[t], NULL, other, NULL) == 0);
    long before = 0;
    for (long i = 0; i < count; i++) {
        if (i == 10) before = address_space();
        if (!silent) between();
        if (threaded) pthread_barrier_wait(&barrier);
        fail(way);
        if (threaded) pthread_barrier_wait(&barrier);
    }
    long grown = before ? address_space() - before : 0;
    if (!strcmp(way, "killed")) {
        after_all();
        say("killed\n");
        kill(getpid(), SIGKILL);
    }
    for (int t = 0; t < 2 && threaded; t++) pthread_join(threads[t], NULL);
    if (!strcmp(way, "late")) _exit(3);
    after_all();
    if (!threaded) say("grown by %s\n", grown < 16 ? "less than 16 MiB" : "16 MiB or more");
    if (!strcmp(way, "succeed")) {
        char *envp[] = {"GIVEN=yes", NULL};
        execle("/bin/sh", "sh", "-c", "echo $# $1 $2 $3 $4 $5 $6 $GIVEN", "zero", "1", "2", "3", "4", "5", "6", NULL, envp);
        _exit(92);
    }
    return 0;
}
