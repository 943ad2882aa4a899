/* Waits on its standard input while `leak snapshot` looks at it: 5 blocks of 77 bytes lost, 100 in a
 * list, one of 66 on the stack of each of 3 threads that allocate all the time. Prints what read
 * returned; status 7. */
#include "common.h"
#include <pthread.h>

struct node {
    struct node *next;
    long pad[3];
};
struct node *kept;
static int ready;

FRAME static void lose(void) {
    sink = malloc(77);
    sink = NULL;
}
FRAME static void *hold(void) { return malloc(66); }

static void *works(void *argument) {
    void *volatile held = hold();
    __atomic_add_fetch(&ready, 1, __ATOMIC_RELEASE);
    for (int i = 0;; i++) {
        brief(10 + i % 100);
        usleep(100);
    }
    return held;
}

int main(void) {
    pthread_t thread;
    for (int i = 0; i < 3; i++) MUST(pthread_create(&thread, NULL, works, NULL) == 0);
    for (int i = 0; i < 5; i++) lose();
    for (int i = 0; i < 100; i++) {
        struct node *node = (struct node *)malloc(sizeof *node);
        node->next = kept;
        kept = node;
    }
    while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) < 3) sched_yield();
    say("ready\n");
    char byte;
    ssize_t got = read(0, &byte, 1);
    say("read %ld\n", (long)got);
    return 7;
}
