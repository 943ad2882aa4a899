/* What is reachable at the end of C programs; see reach.h. */
#include "reach.h"
#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

struct node {
    struct node *left, *right;
    long pad[2];
};

void *global;
void *table[8];
char *inside;
static __thread void *of_thread;

CASE(lost_at_once) { lose(100); }
CASE(kept_by_a_global) { global = reachable(100); }
CASE(kept_by_an_array) { for (int i = 0; i < 8; i++) table[i] = reachable(10); }
CASE(kept_by_a_static_of_a_function) { static void *own; own = reachable(7); OPAQUE(own); }
CASE(kept_by_a_thread_local) { of_thread = reachable(64); OPAQUE(of_thread); }
CASE(overwritten) { global = unreachable(10); OPAQUE(global); global = reachable(10); }
CASE(no_bytes) { global = reachable(0); lose(0); }
CASE(large_and_lost) { lose(1 << 20); }
CASE(large_and_kept) { global = reachable(1 << 20); }
CASE(very_large_and_lost) { lose(1 << 26); }

static struct node *push(struct node *next, struct node *node) { node->left = next; return node; }

CASE(a_list_lost_at_the_head) {
    struct node *head = NULL;
    for (int i = 0; i < 9; i++) head = push(head, (struct node *)indirect(sizeof *head));
    sink = push(head, (struct node *)unreachable(sizeof *head));
    sink = NULL;
}
CASE(a_list_kept_by_its_head) {
    struct node *head = NULL;
    for (int i = 0; i < 9; i++) head = push(head, (struct node *)reachable(sizeof *head));
    global = head;
}
CASE(a_list_kept_from_its_middle) {
    struct node *tail = NULL;
    for (int i = 0; i < 4; i++) tail = push(tail, (struct node *)reachable(sizeof *tail));
    global = tail;
    struct node *front = push(tail, (struct node *)indirect(sizeof *tail));
    front = push(front, (struct node *)indirect(sizeof *front));
    sink = push(front, (struct node *)unreachable(sizeof *front));
    sink = NULL;
}
CASE(a_list_made_head_first) {
    struct node *head = (struct node *)unreachable(sizeof *head), *last = head;
    for (int i = 0; i < 9; i++) { last->left = (struct node *)indirect(sizeof *last); last = last->left; }
}

FRAME static struct node *tree(int depth, void *(*make)(size_t)) {
    if (depth == 0) return NULL;
    struct node *node = (struct node *)make(sizeof *node);
    node->left = tree(depth - 1, make);
    node->right = tree(depth - 1, make);
    return node;
}
CASE(a_tree_kept) { global = tree(6, reachable); }
CASE(a_tree_lost) {
    struct node *root = (struct node *)unreachable(sizeof *root);
    root->left = tree(5, indirect);
    root->right = tree(5, indirect);
    OPAQUE(root);
}
CASE(a_branch_cut_off) {
    struct node *root = tree(4, reachable);
    global = root;
    struct node *cut = (struct node *)unreachable(sizeof *cut);
    cut->left = tree(3, indirect);
    struct node *other = root->right;
    root->right = cut;
    OPAQUE(root);
    root->right = other;
}

FRAME static struct node *ring(int count, void *(*first)(size_t), void *(*rest)(size_t)) {
    struct node *head = (struct node *)first(sizeof *head), *last = head;
    for (int i = 1; i < count; i++) { last->left = (struct node *)rest(sizeof *last); last = last->left; }
    last->left = head;
    return head;
}
CASE(a_ring) { sink = ring(3, unreachable, indirect); sink = NULL; }
CASE(a_ring_kept) { global = ring(3, reachable, reachable); }
CASE(a_block_that_points_to_itself) {
    struct node *node = (struct node *)unreachable(sizeof *node);
    node->left = node;
}
CASE(two_rings) { ring(3, unreachable, indirect); ring(4, unreachable, indirect); }
CASE(a_ring_that_leads_to_a_ring) {
    struct node *first = ring(3, unreachable, indirect);
    first->right = ring(3, indirect, indirect);
}
CASE(a_ring_to_which_a_later_ring_leads) {
    struct node *first = ring(3, indirect, indirect);
    ring(3, unreachable, indirect)->right = first;
}
CASE(two_rings_that_lead_to_each_other) {
    struct node *first = ring(3, unreachable, indirect), *second = ring(3, indirect, indirect);
    first->right = second;
    second->right = first;
}
CASE(a_block_that_leads_to_a_ring) {
    struct node *entry = ring(3, indirect, indirect);
    struct node *lost = (struct node *)unreachable(sizeof *entry);
    lost->right = entry;
    OPAQUE(lost);
}
CASE(a_ring_entered_behind_its_oldest) {
    struct node *first = ring(4, indirect, indirect);
    struct node *lost = (struct node *)unreachable(sizeof *first);
    lost->right = first->left->left;
    OPAQUE(lost);
}
CASE(a_doubly_linked_list_lost) {
    struct node *head = (struct node *)unreachable(sizeof *head), *last = head;
    for (int i = 0; i < 5; i++) {
        struct node *next = (struct node *)indirect(sizeof *next);
        last->right = next; next->left = last; last = next;
    }
}
CASE(two_leaks_share_a_block) {
    void **shared = (void **)indirect(16);
    *(void *volatile *)unreachable(16) = shared;
    *(void *volatile *)unreachable(16) = shared;
}
CASE(a_leak_that_points_to_what_is_kept) { global = reachable(16); *(void *volatile *)unreachable(16) = global; }
CASE(a_kept_block_that_points_to_a_block) { global = reachable(16); *(void **)global = reachable(16); }
CASE(a_long_chain_kept) {
    struct node *head = NULL;
    for (int i = 0; i < 100000; i++) head = push(head, (struct node *)reachable(sizeof *head));
    global = head;
}
CASE(a_long_chain_lost) {
    struct node *head = NULL;
    for (int i = 0; i < 99999; i++) head = push(head, (struct node *)indirect(sizeof *head));
    sink = push(head, (struct node *)unreachable(sizeof *head));
    sink = NULL;
}

CASE(held_by_its_inside) { inside = (char *)possible(64) + 20; }
CASE(held_by_its_last_byte) { inside = (char *)possible(64) + 63; }
CASE(one_past_its_end) { inside = (char *)unreachable(64) + 64; }
CASE(held_by_its_start_and_its_inside) { global = reachable(64); inside = (char *)global + 20; }
CASE(behind_a_block_that_is_possible) { inside = (char *)possible(64) + 20; *(void **)(inside - 20) = possible(10); }
CASE(behind_an_inside_pointer_of_a_kept_block) {
    void **kept = (void **)reachable(16);
    global = kept;
    *kept = (char *)possible(32) + 12;
}
CASE(an_inside_pointer_of_a_leak) { *(void *volatile *)unreachable(16) = (char *)indirect(32) + 12; }
CASE(a_length_before_the_pointer) {
    long *block = (long *)reachable(48);
    block[0] = 40;
    inside = (char *)(block + 1);
}

CASE(the_pointer_is_hidden) { global = (void *)~(uintptr_t)unreachable(100); }
CASE(the_pointer_is_not_aligned) {
    static char place[24];
    void *block = unreachable(100);
    memcpy(place + 8 - (uintptr_t)place % 8 + 3, &block, sizeof block);
}

FRAME static void deep(int left, void *block) {
    void *volatile own[16];
    for (int i = 0; i < 16; i++) own[i] = block;
    if (left > 0) deep(left - 1, own[left % 16]);
    OPAQUE(block);
}
CASE(stale_words_of_dead_frames) { deep(50, unreachable(100)); }
CASE(stale_words_and_a_call_of_exit) {
    deep(50, unreachable(100));
    void *keeps = reachable(10);
    void *volatile kept = keeps;
    keeps = NULL;
    told();
    exit(kept == NULL);
}
CASE(kept_on_the_stack_that_calls_exit_now) {
    void *volatile kept = reachable(10);
    told();
    _exit(kept == NULL);
}
FRAME static void ends_with(void *block) {
    register void *kept __asm__("rbx") = block;
    __asm__ volatile("" : "+r"(kept));
    told();
    __asm__ volatile("" : "+r"(kept));
    exit(0);
}
CASE(kept_in_a_register_that_calls_exit) { ends_with(reachable(10)); }
CASE(kept_on_the_stack_that_calls_quick_exit) {
    void *volatile kept = reachable(10);
    told();
    quick_exit(kept == NULL);
}
static void *freed_at_the_end;
FRAME static void free_it(void) { free(freed_at_the_end); }
CASE(freed_by_a_handler_at_the_end) {
    freed_at_the_end = malloc(10);
    atexit(free_it);
    lose(10);
}
CASE(stale_words_in_freed_blocks) {
    void **holder = (void **)malloc(64);
    for (int i = 2; i < 8; i++) holder[i] = NULL;
    holder[4] = unreachable(40);
    free(holder);
}
CASE(stale_words_in_a_freed_block_of_its_own) {
    void **holder = (void **)malloc(64);
    void *between = reachable(24);
    global = between;
    holder[6] = unreachable(24);
    free(holder);
}
CASE(the_last_block_before_the_end_of_the_heap) { lose(24); }

CASE(kept_by_a_mapping) {
    void **page = (void **)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(page != MAP_FAILED);
    page[700] = reachable(100);
}
CASE(kept_by_a_mapping_beside_large_blocks) {
    sink = unreachable(1 << 20);
    void **page = (void **)mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(page != MAP_FAILED);
    page[700] = reachable(100);
    lose(1 << 20);
}
CASE(kept_by_a_mapping_that_is_gone) {
    void **page = (void **)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(page != MAP_FAILED);
    page[700] = unreachable(100);
    munmap(page, 8192);
}
CASE(kept_by_a_shared_mapping) {
    void **page = (void **)mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(page != MAP_FAILED);
    page[700] = reachable(100);
}
/* A new file of so many bytes. */
FRAME static int file_of(size_t size) {
    int file = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0600);
    MUST(file >= 0 && ftruncate(file, size) == 0 && unlink("mapped") == 0);
    return file;
}
CASE(kept_by_mappings_of_a_file_that_was_cut) {
    int file = file_of(3 * 4096);
    void **own = (void **)mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    void **shared = (void **)mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    MUST(own != MAP_FAILED && shared != MAP_FAILED);
    own[511] = reachable(100);
    shared[5] = reachable(200);
    shared[1024] = unreachable(300);
    MUST(ftruncate(file, 4096) == 0);
    MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file_of(0), 0) != MAP_FAILED);
}
CASE(kept_by_a_mapping_of_a_large_file) {
    int file = file_of(1 << 20);
    void **own = (void **)mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    MUST(own != MAP_FAILED);
    for (int i = 0; i < 16; i++) own[i * 8192 + 8191] = reachable(100);
}
CASE(kept_by_a_huge_reservation) {
    void **page = (void **)mmap(NULL, 1ul << 36, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MUST(page != MAP_FAILED);
    page[1ul << 30] = reachable(100);
}
CASE(kept_behind_a_page_without_access) {
    char *block = (char *)reachable(5 * 4096);
    global = block;
    char *page = (char *)(((uintptr_t)block + 4095) & ~4095ul);
    *(void **)(page + 4096) = reachable(10);
    MUST(mprotect(page, 4096, PROT_NONE) == 0);
}
CASE(kept_by_the_break) {
    void **own = (void **)sbrk(4096);
    MUST(own != (void *)-1);
    own[5] = reachable(100);
}
CASE(kept_by_the_environment) {
    char *text = (char *)reachable(64);
    strcpy(text, "LEAK_CASE=a string of the heap");
    putenv(text);
}

static ucontext_t main_context, fiber_context;
static void *volatile from_fiber;
static void fiber(void) {
    void *volatile kept = reachable(50);
    from_fiber = NULL;
    swapcontext(&fiber_context, &main_context);
    sink = kept;
}
CASE(kept_by_a_fiber_on_a_block) {
    char *stack = (char *)reachable(64 << 10);
    global = stack;
    getcontext(&fiber_context);
    fiber_context.uc_stack.ss_sp = stack;
    fiber_context.uc_stack.ss_size = 64 << 10;
    fiber_context.uc_link = &main_context;
    makecontext(&fiber_context, fiber, 0);
    swapcontext(&main_context, &fiber_context);
}
static void ends_in_fiber(void) {
    void *volatile kept = reachable(50);
    told();
    exit(kept == NULL);
}
CASE(the_end_in_a_fiber) {
    void *volatile of_main = reachable(60);
    char *stack = (char *)reachable(256 << 10);
    global = stack;
    getcontext(&fiber_context);
    fiber_context.uc_stack.ss_sp = stack;
    fiber_context.uc_stack.ss_size = 256 << 10;
    fiber_context.uc_link = &main_context;
    makecontext(&fiber_context, ends_in_fiber, 0);
    swapcontext(&main_context, &fiber_context);
    sink = of_main;
}

CASE(grown_and_lost) {
    char *block = (char *)malloc(10);
    block = (char *)realloc(block, 100);
    free(block);
    lose(10);
}
CASE(everything_freed) { free(keep(100)); }

int main(int argc, char **argv) { return run_cases(argc, argv); }
