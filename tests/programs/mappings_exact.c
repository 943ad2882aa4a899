/* The program's own mappings, exactly: mappings_exact WHAT COUNT. Prints nothing; status 0.
 *   nothing; map: COUNT mappings of 3 pages, kept
 *   unmap: as map, all unmapped but the first; then calls of munmap that fail: they change nothing
 *   remap: as map, all grown to 5 pages (moved), then mremap calls that fail
 *   brk: the break COUNT pages up by brk, then one page down, then two impossible brks
 *   threads: 4 threads map and unmap one page COUNT times each, and each keeps the last
 */
#include "common.h"
#include <pthread.h>
#include <sys/mman.h>

static size_t page;
static long count;

FRAME static char *map(size_t pages) {
    char *got = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(got != MAP_FAILED);
    return got;
}

static void *churn(void *argument) {
    for (long i = 0; i < count; i++) MUST(munmap(map(1), page) == 0);
    sink = map(1);
    return argument;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "nothing";
    count = number_argument(argc, argv, 2, 10);
    page = (size_t)sysconf(_SC_PAGESIZE);
    char *kept[count + 1];
    if (!strcmp(what, "map") || !strcmp(what, "unmap") || !strcmp(what, "remap"))
        for (long i = 0; i < count; i++) kept[i] = map(3);
    if (!strcmp(what, "unmap")) {
        for (long i = 1; i < count; i++) MUST(munmap(kept[i], 3 * page) == 0);
        volatile size_t beyond = SIZE_MAX / 2 / page * page;
        MUST(munmap(kept[0] + 1, page) == -1 && errno == EINVAL);
        MUST(munmap(kept[0], 0) == -1 && errno == EINVAL);
        MUST(munmap(kept[0], beyond) == -1 && errno == EINVAL);
    } else if (!strcmp(what, "remap")) {
        for (long i = 0; i < count; i++) {
            kept[i] = mremap(kept[i], 3 * page, 5 * page, MREMAP_MAYMOVE);
            MUST(kept[i] != MAP_FAILED);
        }
        volatile size_t most = SIZE_MAX / 4 / page * page;
        for (long i = 0; i < count; i++)
            MUST(mremap(kept[i], 5 * page, most, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
    } else if (!strcmp(what, "brk")) {
        char *start = sbrk(0);
        for (long i = 1; i <= count; i++) MUST(brk(start + i * page) == 0);
        MUST(brk(start + (count - 1) * page) == 0 && sbrk(0) == start + (count - 1) * page);
        /* libc says that this went well, and the break is where it was. */
        brk((void *)8);
        MUST(brk((void *)(SIZE_MAX / 4)) == -1 && errno == ENOMEM);
        MUST(sbrk(0) == start + (count - 1) * page);
    } else if (!strcmp(what, "threads")) {
        pthread_t threads[4];
        for (int t = 0; t < 4; t++) MUST(pthread_create(&threads[t], NULL, churn, NULL) == 0);
        for (int t = 0; t < 4; t++) pthread_join(threads[t], NULL);
    }
    return 0;
}
