/* flags: -m32 -nostdlib -static -fno-pie -no-pie -fno-stack-protector -Wno-unused-function
 * A 32-bit program without libc, as a child of 64-bit parents: prints one line, status 32.
 */
static int call(int number, int a, int b, int c) {
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
    return result;
}
void _start(void) {
    static const char line[] = "32 bits\n";
    call(4, 1, (int)line, sizeof line - 1);
    call(1, 32, 0, 0);
    for (;;) {}
}
