#define _GNU_SOURCE
#include "verbs.h"

#include <stdio.h>
#include <string.h>

static const struct {
  const char *name;
  int (*main)(int argc, char **argv);
} verbs[] = {
    {"run", run_main},
    {"enter", enter_main},
    {"scan", scan_main},
    {"apply", apply_main},
};

int main(int argc, char **argv) {
  for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++) {
    if (strcmp(argv[1], verbs[i].name) == 0) return verbs[i].main(argc - 1, argv + 1);
  }
  fprintf(stderr, "usage: kiln-launcher run|enter|scan|apply ...\n");
  return 125;
}
