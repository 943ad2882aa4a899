/* Runs a command and says what it cost.
 *
 *     measure RESULT COMMAND [ARGUMENT]...
 *
 * Writes one line to the file RESULT: `wall user sys maxrss_kib status`, times
 * in seconds. `user` and `sys` are of the command and all its descendants, also
 * those that outlive their parents: this process is their reaper and waits for
 * the last of them (`wall` ends with the command itself). `maxrss_kib` is of
 * the command or of the largest single descendant.
 *
 * A program of its own, because a child's peak resident size begins as that of
 * the process that forked it: an interpreter's 20 MB would hide what a small
 * program needs, and its own start-up work would blur a wall time of 1 ms. */
#define _GNU_SOURCE
#include "bench.h"
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: measure RESULT COMMAND [ARGUMENT]...\n");
        return 2;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    /* The measured command gets the preload, this process does not. */
    char *preload = getenv("BENCH_PRELOAD");
    double begin = seconds_now(), end = begin;
    pid_t command = fork();
    if (command < 0) {
        perror("measure: fork");
        return 2;
    }
    if (command == 0) {
        if (preload) {
            setenv("LD_PRELOAD", preload, 1);
            unsetenv("BENCH_PRELOAD");
        }
        execvp(argv[2], argv + 2);
        fprintf(stderr, "measure: %s: %s\n", argv[2], strerror(errno));
        _exit(127);
    }
    int status = -1, one;
    struct rusage used, total;
    long maxrss = 0;
    pid_t done;
    for (;;) {
        done = wait4(-1, &one, 0, &used);
        if (done < 0) {
            if (errno == EINTR)
                continue;
            break;
        }
        if (done == command) {
            end = seconds_now();
            status = WIFEXITED(one) ? WEXITSTATUS(one) : 128 + WTERMSIG(one);
            maxrss = used.ru_maxrss;
        }
    }
    getrusage(RUSAGE_CHILDREN, &total);
    if (total.ru_maxrss > maxrss)
        maxrss = total.ru_maxrss;
    FILE *result = fopen(argv[1], "w");
    if (!result) {
        perror(argv[1]);
        return 2;
    }
    fprintf(result, "%.6f %.6f %.6f %ld %d\n", end - begin, seconds_of(total.ru_utime),
            seconds_of(total.ru_stime), maxrss, status);
    fclose(result);
    return 0;
}
