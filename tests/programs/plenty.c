/* Enough events to fill every buffer behind the hooks: N kept blocks of 1 to 64 bytes by
 * plenty_keeps(), on many stacks, each after 3 brief ones. plenty N [MOMENT]: at the moment (half
 * of N) one of: close (all descriptors from 3 up), chdir (to /), rename (its directory `inner`,
 * where it was started, to `outer`), environment (clearenv), umask, nofile (no more
 * descriptors allowed), fsize (files may not grow). Sum of sizes: for i in 0..N: 1 + i % 64.
 * Status 0.
 */
#include "common.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static volatile long used;

FRAME static void plenty_keeps(size_t size) { keep(size); }
FRAME static void path(uint32_t way, int depth, size_t size) {
    if (depth == 0)
        plenty_keeps(size);
    else if (way & 1)
        path(way >> 1, depth - 1, size);
    else {
        path(way >> 1, depth - 1, size);
        used++;
    }
    used++;
}

static void moment(const char *what) {
    if (strcmp(what, "close") == 0) {
        MUST(syscall(SYS_close_range, 3, ~0u, 0) == 0);
    } else if (strcmp(what, "chdir") == 0) {
        MUST(chdir("/") == 0);
    } else if (strcmp(what, "rename") == 0) {
        MUST(rename("../inner", "../outer") == 0);
    } else if (strcmp(what, "environment") == 0) {
        MUST(clearenv() == 0);
    } else if (strcmp(what, "umask") == 0) {
        umask(0777);
    } else if (strcmp(what, "nofile") == 0) {
        struct rlimit none = {0, 0};
        MUST(setrlimit(RLIMIT_NOFILE, &none) == 0);
    } else if (strcmp(what, "fsize") == 0) {
        struct rlimit small = {100, 100};
        MUST(setrlimit(RLIMIT_FSIZE, &small) == 0);
    } else {
        MUST(*what == 0);
    }
}

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 100000);
    uint32_t state = 7;
    for (long i = 0; i < count; i++) {
        if (i == count / 2) moment(argc > 2 ? argv[2] : "");
        for (int k = 0; k < 3; k++) brief(100);
        state = state * 1664525u + 1013904223u;
        path((state >> 6) % 64, (int)(state >> 28) + 1, 1 + (size_t)i % 64);
    }
    say("%ld kept\n", count);
    return 0;
}
