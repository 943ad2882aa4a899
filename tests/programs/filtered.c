/* A seccomp filter that kills the process on any system call but read, write, exit,
 * exit_group, mmap, munmap, brk, futex and rt_sigreturn (and `strict`: the kernel's strict mode,
 * with heap enough made before). Before: 100 kept of 48 bytes by free_keeps(); after: N rounds of
 * a brief one and one kept of 40 by filtered_keeps(). Status 0 by exit_group, or exit for `strict`.
 */
#include "common.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

FRAME static void free_keeps(long count) { for (long i = 0; i < count; i++) keep(48); }
FRAME static void filtered_keeps(long count) {
    for (long i = 0; i < count; i++) {
        brief(100);
        keep(40);
    }
}

int main(int argc, char **argv) {
    long count = number_argument(argc, argv, 1, 200000);
    int strict = argc > 2 && strcmp(argv[2], "strict") == 0;
    free_keeps(100);
    if (strict) {
        mallopt(M_TRIM_THRESHOLD, 512 << 20);
        mallopt(M_MMAP_THRESHOLD, 512 << 20);
        mallopt(M_TOP_PAD, 64 << 20);
        free(malloc(32 << 20));
        MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    } else {
#define ALLOW(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
        struct sock_filter filter[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_exit), ALLOW(SYS_exit_group), ALLOW(SYS_mmap),
            ALLOW(SYS_munmap), ALLOW(SYS_brk), ALLOW(SYS_futex), ALLOW(SYS_rt_sigreturn),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        };
        struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
        MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    }
    filtered_keeps(count);
    say("%ld kept behind the filter\n", count);
    if (strict) syscall(SYS_exit, 0);
    return 0;
}
