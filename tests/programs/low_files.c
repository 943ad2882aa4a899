/* Closes every descriptor from 3 up (by close, from a constructor of its own and again later),
 * opens 30 files of its own onto the numbers that become free, writes one line into each, and
 * allocates (N kept of 24 bytes by between_files(), with 10 brief ones each) between the writes.
 * At the end each file must hold its two lines and no more. Prints the numbers that open gave.
 * Status 0.
 */
#include "common.h"
#include <fcntl.h>

#define FILES 30
FRAME static void between_files(long count) {
    for (long i = 0; i < count; i++) {
        for (int k = 0; k < 10; k++) brief(40);
        keep(24);
    }
}

static void close_all(void) {
    for (int number = 3; number < 1200; number++) close(number);
}
__attribute__((constructor)) static void early(void) { close_all(); }

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 20000);
    int files[FILES];
    char name[30], line[30], back[100];
    between_files(count / 2);
    close_all();
    for (int f = 0; f < FILES; f++) {
        snprintf(name, sizeof name, "file%d", f);
        files[f] = open(name, O_CREAT | O_RDWR | O_TRUNC, 0600);
        MUST(files[f] >= 0);
        say("%d ", files[f]);
        int length = snprintf(line, sizeof line, "first %d\n", f);
        MUST(write(files[f], line, (size_t)length) == length);
    }
    between_files(count - count / 2);
    for (int f = 0; f < FILES; f++) {
        int length = snprintf(line, sizeof line, "first %d\nsecond %d\n", f, f);
        char *second = strchr(line, '\n') + 1;
        MUST(write(files[f], second, strlen(second)) == (ssize_t)strlen(second));
        MUST(pread(files[f], back, sizeof back, 0) == length);
        MUST(memcmp(back, line, (size_t)length) == 0);
    }
    say("\nfiles intact\n");
    return 0;
}
