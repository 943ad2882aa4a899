/* Blocks that functions of libc hand out: of each kind one is kept and one is lost; see
 * reach.h. */
#include "reach.h"
#include <dirent.h>
#include <execinfo.h>
#include <glob.h>
#include <locale.h>
#include <malloc.h>
#include <regex.h>
#include <search.h>
#include <spawn.h>
#include <wchar.h>

typedef void *maker(void);

/* What is made below one of these is of its class. */
#define MAKER_BY(name, what)                                                  \
    MAKER void *name(maker *make) {                                           \
        void *block = make();                                                 \
        MUST(block != NULL);                                                  \
        made[what]++;                                                         \
        __asm__ volatile("" : : : "memory"); /* no jump out of this frame */  \
        return block;                                                         \
    }
MAKER_BY(unreachable_by, UNREACHABLE)
MAKER_BY(reachable_by, REACHABLE)

void *global;

FRAME static void one_of_each(maker *make) {
    global = reachable_by(make);
    sink = unreachable_by(make);
    sink = NULL;
}

/* A case that makes a block by an expression. */
#define MADE(name, expression)                               \
    FRAME static void *make_##name(void) { return expression; } \
    CASE(name) { one_of_each(make_##name); }

MADE(by_malloc, malloc(24))
MADE(by_calloc, calloc(3, 8))
MADE(by_realloc_of_nothing, realloc(NULL, 40))
MADE(by_reallocarray, reallocarray(NULL, 5, 9))
MADE(by_memalign, memalign(256, 100))
MADE(by_aligned_alloc, aligned_alloc(64, 128))
MADE(by_valloc, valloc(10))
MADE(by_pvalloc, pvalloc(10))
MADE(by_strdup, strdup("some text"))
MADE(by_strndup, strndup("some text", 4))
MADE(by_wcsdup, wcsdup(L"some text"))
MADE(by_getcwd, getcwd(NULL, 0))
MADE(by_realpath, realpath("/proc/self/../self/..", NULL))
MADE(of_no_bytes_by_malloc, malloc(0))
MADE(of_no_bytes_by_calloc, calloc(0, 8))

FRAME static void *make_by_posix_memalign(void) {
    void *block = NULL;
    MUST(posix_memalign(&block, 4096, 100) == 0);
    return block;
}
CASE(by_posix_memalign) { one_of_each(make_by_posix_memalign); }

FRAME static void *make_by_asprintf(void) {
    char *text = NULL;
    MUST(asprintf(&text, "%d and %s", 5, "text") > 0);
    return text;
}
CASE(by_asprintf) { one_of_each(make_by_asprintf); }

FRAME static void *make_by_growing(void) {
    char *block = (char *)malloc(20);
    sink = malloc(24);
    block = (char *)realloc(block, 70000);
    free(sink);
    return block;
}
CASE(by_realloc_that_moves) { one_of_each(make_by_growing); }

FRAME static void *make_by_shrinking(void) { return realloc(malloc(90000), 30); }
CASE(by_realloc_that_shrinks) { one_of_each(make_by_shrinking); }

/* Streams are closed before the end: only what they made for their caller is left. */
FRAME static void *make_by_getline(void) {
    static char text[] = "a line\nand another\n";
    FILE *from = fmemopen(text, sizeof text - 1, "r");
    char *line = NULL;
    size_t room = 0;
    MUST(from != NULL && getline(&line, &room, from) == 7 && fclose(from) == 0);
    return line;
}
CASE(by_getline) { one_of_each(make_by_getline); }

FRAME static void *make_by_memstream(void) {
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);
    MUST(to != NULL && fprintf(to, "%01000d", 7) == 1000 && fclose(to) == 0 && length == 1000);
    return text;
}
CASE(by_open_memstream) { one_of_each(make_by_memstream); }

FRAME static void *make_by_sscanf(void) {
    char *word = NULL;
    MUST(sscanf("word rest", "%ms", &word) == 1);
    return word;
}
CASE(by_scanf) { one_of_each(make_by_sscanf); }

FRAME static void *make_by_backtrace_symbols(void) {
    void *places[2] = {(void *)one_of_each, (void *)say};
    return backtrace_symbols(places, 2);
}
CASE(by_backtrace_symbols) { one_of_each(make_by_backtrace_symbols); }

/* What consists of many blocks, kept by one pointer. */
static int how_many;
FRAME static void *make_scandir(void) {
    struct dirent **list = NULL;
    how_many = scandir("/proc/self", &list, NULL, alphasort);
    MUST(how_many > 10);
    return list;
}
CASE(many_by_scandir) { global = reachable_by(make_scandir); made[REACHABLE] += how_many; }

FRAME static void *make_many(void) {
    static glob_t names;
    static regex_t expression;
    static struct { FILE *file; DIR *directory; void *tree; locale_t locale; posix_spawn_file_actions_t actions; } all;
    MUST(glob("/proc/self/*s", 0, NULL, &names) == 0);
    MUST(regcomp(&expression, "(a|b)*c[d-f]+", REG_EXTENDED) == 0);
    all.file = fopen("/proc/self/maps", "r");
    all.directory = opendir("/proc/self");
    MUST(all.file != NULL && fgetc(all.file) != EOF && all.directory != NULL);
    for (const char *key = "fbdache"; *key != 0; key++) {
        tsearch(key, &all.tree, (int (*)(const void *, const void *))strcmp);
    }
    all.locale = newlocale(LC_ALL_MASK, "C.UTF-8", NULL);
    posix_spawn_file_actions_init(&all.actions);
    posix_spawn_file_actions_addclose(&all.actions, 99);
    made[REACHABLE] = -2;
    return &all;
}
CASE(many_of_libc_kept) { reachable_by(make_many); }

CASE(environment_that_was_set) {
    MUST(setenv("LEAK_CASE", "a value that setenv copies", 1) == 0);
    lose(10);
}
CASE(environment_that_was_set_and_cleared) {
    char *text = (char *)unreachable(64);
    strcpy(text, "LEAK_CASE=a string of the program's");
    MUST(putenv(text) == 0);
    text = NULL;
    MUST(unsetenv("LEAK_CASE") == 0);
}

int main(int argc, char **argv) { return run_cases(argc, argv); }
