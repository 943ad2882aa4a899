/* Shapes that data take: what is still held when a part of it is gone or hidden; see
 * reach.h. */
#include "reach.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

struct node {
    struct node *next, *other;
    long pad[2];
};

void *global;
uintptr_t number;
uint32_t halves[4];
intptr_t distance;
void *table[16];

FRAME static struct node *linked(struct node *next, struct node *node) {
    node->next = next;
    __asm__ volatile("" : : : "memory");
    return node;
}
FRAME static struct node *chain(int count, void *(*make)(size_t)) {
    struct node *head = NULL;
    while (count-- > 0) head = linked(head, (struct node *)make(sizeof *head));
    return head;
}

/* Hidden pointers. */
CASE(tagged_in_the_low_bits) { number = (uintptr_t)possible(40) | 1; }
CASE(tagged_in_the_high_bits) { number = (uintptr_t)unreachable(40) | 1ul << 63; }
CASE(tagged_behind_a_plain_one) { global = reachable(40); number = (uintptr_t)global | 3; }
CASE(in_two_halves) {
    uintptr_t block = (uintptr_t)unreachable(40);
    halves[0] = (uint32_t)block;
    halves[2] = (uint32_t)(block >> 32);
}
CASE(relative_to_its_own_place) {
    distance = (intptr_t)unreachable(40) - (intptr_t)&distance;
}
/* Only neighbours of an end are told: the link of the first is the address of the
 * second, that of the last the address of the one before it. */
CASE(a_list_linked_by_exclusive_or) {
    uintptr_t *node[5] = {(uintptr_t *)reachable(16), (uintptr_t *)reachable(16), (uintptr_t *)unreachable(16),
                          (uintptr_t *)indirect(16), (uintptr_t *)unreachable(16)};
    for (int i = 0; i < 5; i++) {
        node[i][0] = (i > 0 ? (uintptr_t)node[i - 1] : 0) ^ (i < 4 ? (uintptr_t)node[i + 1] : 0);
    }
    global = node[0];
}
CASE(by_a_number_in_a_table) {
    table[7] = reachable(30);
    number = 7;
}

/* Parents that are gone. */
CASE(a_tree_whose_root_was_freed) {
    struct node *root = (struct node *)malloc(sizeof *root);
    root->next = linked(chain(2, indirect), (struct node *)unreachable(sizeof *root));
    root->other = linked(chain(3, indirect), (struct node *)unreachable(sizeof *root));
    OPAQUE(root);
    free(root);
}
CASE(a_list_whose_head_was_freed) {
    struct node *rest = chain(8, indirect);
    struct node *second = linked(rest, (struct node *)unreachable(sizeof *second));
    free(linked(second, (struct node *)malloc(sizeof *second)));
}
CASE(held_only_by_a_block_that_was_freed) {
    void **holder = (void **)malloc(64);
    for (int i = 0; i < 8; i++) holder[i] = NULL;
    holder[5] = unreachable(32);
    OPAQUE(holder);
    free(holder);
    global = holder;
}
CASE(the_old_address_of_a_block_that_moved) {
    global = malloc(24);
    sink = malloc(24);
    void *moved = realloc(global, 100);
    free(moved);
    free(sink);
    sink = unreachable(5000);
    sink = NULL;
}
CASE(children_of_a_block_that_moved) {
    void **holder = (void **)reachable(8 * sizeof *holder);
    for (int i = 0; i < 8; i++) holder[i] = reachable(20);
    made[REACHABLE]--;
    sink = reachable(16);
    global = sink;
    holder = (void **)realloc(holder, 10000 * sizeof *holder);
    holder[8] = global;
    global = holder;
}
CASE(children_behind_the_end_of_a_block_that_shrank) {
    void **holder = (void **)reachable(8 * sizeof *holder);
    made[REACHABLE]--;
    for (int i = 0; i < 2; i++) holder[i] = reachable(20);
    for (int i = 2; i < 8; i++) holder[i] = unreachable(20);
    global = realloc(holder, 2 * sizeof *holder);
}

/* Where in a block a pointer stands. */
CASE(in_the_last_word_of_a_block) {
    char *holder = (char *)reachable(40);
    *(void **)(holder + 32) = reachable(10);
    global = holder;
}
CASE(in_the_last_word_of_a_block_of_odd_size) {
    char *holder = (char *)reachable(47);
    *(void **)(holder + 32) = reachable(10);
    global = holder;
}
CASE(in_a_packed_structure) {
    struct __attribute__((packed)) { char tag; void *pointer; } *holder = reachable(sizeof *holder);
    void *block = unreachable(10);
    memcpy(&holder->pointer, &block, sizeof block);
    block = NULL;
    global = holder;
}

/* Linked through a member, as kernels do it: links point to the inside. */
struct ring { struct ring *next, *previous; };
struct entry { long data[2]; struct ring ring; long more; };
static struct ring all = {&all, &all};
FRAME static void put(struct ring *head, struct entry *entry) {
    entry->ring.next = head;
    entry->ring.previous = head->previous;
    head->previous->next = &entry->ring;
    head->previous = &entry->ring;
}
CASE(a_ring_through_members_kept) { for (int i = 0; i < 6; i++) put(&all, (struct entry *)possible(sizeof(struct entry))); }
CASE(a_ring_through_members_lost) {
    static struct ring head;
    head.next = head.previous = &head;
    put(&head, (struct entry *)unreachable(sizeof(struct entry)));
    for (int i = 0; i < 5; i++) put(&head, (struct entry *)indirect(sizeof(struct entry)));
    head.next->previous = head.previous;
    head.previous->next = head.next;
    head.next = head.previous = &head;
}

/* Trees and graphs. */
struct branch { struct branch *parent, *child[3]; };
FRAME static struct branch *branch(struct branch *parent, int depth, void *(*make)(size_t)) {
    struct branch *own = (struct branch *)make(sizeof *own);
    own->parent = parent;
    for (int i = 0; depth > 0 && i < 3; i++) own->child[i] = branch(own, depth - 1, make);
    return own;
}
CASE(a_tree_with_ways_to_the_root_lost) {
    struct branch *root = (struct branch *)unreachable(sizeof *root);
    for (int i = 0; i < 3; i++) root->child[i] = branch(root, 2, indirect);
}
CASE(a_tree_held_by_one_leaf) {
    struct branch *at = branch(NULL, 3, reachable);
    while (at->child[1] != NULL) at = at->child[1];
    global = at;
}
CASE(a_branch_that_still_knows_its_parent) {
    struct branch *root = branch(NULL, 2, reachable), *cut = branch(root, 0, unreachable);
    for (int i = 0; i < 3; i++) cut->child[i] = branch(cut, 1, indirect);
    global = root;
}
CASE(two_lists_that_share_their_tail) {
    struct node *tail = chain(3, reachable);
    global = linked(tail, (struct node *)reachable(sizeof *tail));
    linked(tail, (struct node *)unreachable(sizeof *tail));
}
CASE(two_lost_lists_that_share_their_tail) {
    struct node *tail = chain(3, indirect);
    linked(tail, (struct node *)unreachable(sizeof *tail));
    linked(linked(tail, (struct node *)indirect(sizeof *tail)), (struct node *)unreachable(sizeof *tail));
}
CASE(a_hash_table_kept) {
    struct node **buckets = (struct node **)reachable(32 * sizeof *buckets);
    for (int i = 0; i < 100; i++) buckets[i * 7 % 32] = linked(buckets[i * 7 % 32], (struct node *)reachable(32));
    global = buckets;
}
CASE(a_hash_table_lost) {
    struct node **buckets = (struct node **)unreachable(32 * sizeof *buckets);
    for (int i = 0; i < 100; i++) buckets[i * 7 % 32] = linked(buckets[i * 7 % 32], (struct node *)indirect(32));
}
CASE(one_bucket_forgotten_as_the_table_grows) {
    struct node **old = (struct node **)malloc(4 * sizeof *old), **wide = (struct node **)reachable(8 * sizeof *wide);
    for (int i = 0; i < 3; i++) old[i] = chain(4, reachable);
    old[3] = linked(chain(3, indirect), (struct node *)unreachable(32));
    for (int i = 0; i < 3; i++) wide[i * 2] = old[i];
    free(old);
    global = wide;
}
CASE(a_matrix_of_rows_lost) {
    long **rows = (long **)unreachable(20 * sizeof *rows);
    for (int i = 0; i < 20; i++) rows[i] = (long *)indirect(100);
}
CASE(a_matrix_whose_rows_point_into_one_block) {
    long **rows = (long **)reachable(20 * sizeof *rows), *data = (long *)reachable(20 * 80);
    for (int i = 0; i < 20; i++) rows[i] = data + i * 10;
    global = rows;
}
CASE(a_matrix_that_lost_its_first_row) {
    long **rows = (long **)reachable(20 * sizeof *rows), *data = (long *)possible(20 * 80);
    for (int i = 1; i < 20; i++) rows[i] = data + i * 10;
    data[0] = -1;
    global = rows;
}
CASE(an_arena_known_by_what_is_taken_of_it) {
    struct node *arena = (struct node *)possible(100 * sizeof *arena);
    arena[0].next = (struct node *)-1;
    for (int i = 1; i < 99; i++) arena[i].next = &arena[i + 1];
    global = &arena[1];
}
CASE(chunks_of_a_pool) {
    struct node *chunks = NULL;
    for (int i = 0; i < 5; i++) chunks = linked(chunks, (struct node *)reachable(4000));
    global = chunks;
    number = (uintptr_t)chunks + 64;
}
CASE(a_queue_that_was_emptied_by_moving_its_head) {
    struct node *queue = chain(10, unreachable);
    while (queue->next != NULL) {
        struct node *head = queue;
        queue = head->next;
        head->next = NULL;
    }
    made[UNREACHABLE]--;
    free(queue);
}
CASE(a_cache_that_replaces) {
    for (int i = 0; i < 16; i++) table[i % 4] = i < 12 ? unreachable(48) : reachable(48);
}
CASE(exchanged_and_one_forgotten) {
    void *first = reachable(24), *second = unreachable(24), *volatile held = first;
    first = second;
    second = held;
    OPAQUE(first);
    global = second;
}

/* Frames that are live, and frames that are gone. */
FRAME static void ends_inside(int depth) {
    void *volatile own = reachable(30);
    if (depth > 0) {
        ends_inside(depth - 1);
    } else {
        told();
        exit(own == NULL);
    }
    sink = own;
}
CASE(the_end_in_a_nested_function) { ends_inside(10); }
FRAME static void ends_with_room(int count) {
    void *volatile room[count];
    for (int i = 0; i < count; i++) room[i] = reachable(20);
    void **more = (void **)__builtin_alloca(count * sizeof *more);
    for (int i = 0; i < count; i++) more[i] = reachable(20);
    OPAQUE(more);
    told();
    exit(room[0] == NULL);
}
CASE(room_on_the_stack_at_the_end) { ends_with_room(30); }
static jmp_buf out;
FRAME static void jumps(void) {
    void *volatile own = unreachable(30);
    if (own != NULL) longjmp(out, 1);
}
CASE(left_by_longjmp) { if (setjmp(out) == 0) jumps(); scrub(); }
static void ends_in_handler(int signal) {
    void *volatile own = reachable(30);
    told();
    exit(own == NULL);
}
FRAME static void interrupted(void) {
    void *volatile own = reachable(40);
    signal(SIGUSR1, ends_in_handler);
    raise(SIGUSR1);
    sink = own;
}
CASE(the_end_in_a_signal_handler) { interrupted(); }
static void at_exit(void) { sink = unreachable(30); sink = NULL; global = reachable(40); }
CASE(made_by_handlers_of_exit) {
    /* They come after the count is told. */
    made[UNREACHABLE]++;
    made[REACHABLE]++;
    atexit(at_exit);
}

int main(int argc, char **argv) { return run_cases(argc, argv); }
