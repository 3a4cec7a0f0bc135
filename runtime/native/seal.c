#define _GNU_SOURCE
#include "seal.h"
#include "kernel.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

extern char **environ;

void run_sealed(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "sealed") == 0) return;
  int file = sys_open_tree(AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE);
  if (file < 0 || sys_mount_setattr(file, 0, MOUNT_ATTR_RDONLY) < 0) fail("seal the launcher", "/proc/self/exe");
  char *arguments[] = {"kiln-launcher", argv[0], "sealed", NULL};
  execveat(file, "", arguments, environ, AT_EMPTY_PATH);
  fail("seal the launcher", "/proc/self/exe");
}
