/* Where the memory is.
 * memory pinned: scatter() makes 20000 blocks of 4000 bytes, and before each anchor() one of 24;
 *                all large ones are freed, the anchors are left: each keeps a page.
 * memory kept:   the same, and the anchors are freed, except for the last one, which keeps the
 *                allocator from giving the memory back.
 * memory held:   20000 blocks of 4000 bytes are left.
 * memory mapped: 60 MB mapped and touched, 30 MB of the program's own file mapped and read.
 * memory stacks: four threads that touch 4 MB of their stacks each and wait; the program ends.
 * The exit status is 0.
 */
#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>

enum { COUNT = 20000, SIZE = 4000 };
static void *large[COUNT], *small[COUNT];

FRAME static void anchor(int at) {
    small[at] = malloc(24);
    MUST(small[at] != NULL);
    memset(small[at], 1, 24);
}
FRAME static void scatter(void) {
    for (int at = 0; at < COUNT; at++) {
        large[at] = malloc(SIZE);
        MUST(large[at] != NULL);
        memset(large[at], 1, SIZE);
        anchor(at);
    }
}
static void free_large(void) {
    for (int at = 0; at < COUNT; at++) free(large[at]);
}

static sem_t touched;
FRAME static void *deep(void *argument) {
    unsigned char room[4 << 20];
    memset(room, 1, sizeof room);
    sink = room;
    sem_post(&touched);
    for (;;) pause();
    return argument;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "held";
    if (strcmp(mode, "mapped") == 0) {
        char *memory = mmap(NULL, 60000000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        MUST(memory != MAP_FAILED);
        memset(memory, 1, 60000000);
        int file = open("mapped.bin", O_RDWR | O_CREAT, 0600);
        MUST(file >= 0 && ftruncate(file, 30000000) == 0);
        char *content = mmap(NULL, 30000000, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        MUST(content != MAP_FAILED);
        memset(content, 1, 30000000);
        close(file);
        brief(400000);
    } else if (strcmp(mode, "stacks") == 0) {
        MUST(sem_init(&touched, 0, 0) == 0);
        for (int thread = 0; thread < 4; thread++) {
            pthread_t id;
            MUST(pthread_create(&id, NULL, deep, NULL) == 0);
        }
        for (int thread = 0; thread < 4; thread++)
            while (sem_wait(&touched) != 0) MUST(errno == EINTR);
        brief(400000);
    } else {
        scatter();
        if (strcmp(mode, "held") != 0) free_large();
        if (strcmp(mode, "kept") == 0)
            for (int at = 0; at < COUNT - 1; at++) free(small[at]);
    }
    say("%s\n", mode);
    return 0;
}
