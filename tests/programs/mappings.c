/* mmap, mremap and munmap are passed through and are not blocks: N mappings of 3 pages,
 * grown to 5 by mremap; every other one unmapped. Its own allocations: none. Status 0.
 */
#include "common.h"
#include <sys/mman.h>

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 100);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (long i = 0; i < count; i++) {
        char *map = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        MUST(map != MAP_FAILED);
        map[2 * page] = 42;
        map = mremap(map, 3 * page, 5 * page, MREMAP_MAYMOVE);
        MUST(map != MAP_FAILED && map[2 * page] == 42);
        map[4 * page] = 1;
        if (i % 2) MUST(munmap(map, 5 * page) == 0);
        sink = map;
    }
    errno = 0;
    volatile size_t most = SIZE_MAX / 2;
    MUST(mmap(NULL, most, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
    errno = 0;
    MUST(munmap((void *)1, 1) == -1 && errno == EINVAL);
    void *top = sbrk(0);
    MUST(sbrk(65536) == top);
    say("%ld mappings\n", count);
    return 0;
}
