/* For sandbox-process.integration.test.ts: makes system calls and prints what each gives. Numbers are of linux/unistd.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CLONE_NEWUSER 0x10000000
#define AF_INET 2
#define AF_VSOCK 40

static void show(const char *name, long result, int error) {
  printf("%s %s\n", name, result >= 0 ? "ok" : strerrorname_np(error));
}

static void probe(const char *name, long number, long first, long second) {
  errno = 0;
  long result = syscall(number, first, second, 0L, 0L, 0L, 0L);
  show(name, result, errno);
}

int main(void) {
  probe("mount", SYS_mount, 0, 0);
  probe("unshare", SYS_unshare, CLONE_NEWUSER, 0);
  probe("setns", SYS_setns, 0, 0);
  probe("keyctl", SYS_keyctl, 0, 0);
  probe("add_key", SYS_add_key, 0, 0);
  probe("bpf", SYS_bpf, 0, 0);
  probe("io_uring_setup", 425, 1, 0);
  probe("clone-newuser", SYS_clone, CLONE_NEWUSER, 0);
  probe("socket-vsock", SYS_socket, AF_VSOCK, 1);
  probe("clone3", 435, 0, 0);
  probe("number-4000", 4000, 0, 0);
  probe("getpid", SYS_getpid, 0, 0);
  probe("socket-inet", SYS_socket, AF_INET, 1);
  probe("personality", SYS_personality, 0xffffffff, 0);
#ifdef __x86_64__
  probe("x32", 0x40000000 + SYS_getpid, 0, 0);
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
  show("i386", result, (int)-result);
#endif
  return 0;
}
