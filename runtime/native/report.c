#define _GNU_SOURCE
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int status_fd = -1;

void report_to(int fd) { status_fd = fd; }

int report_descriptor(void) { return status_fd; }

/* A report is four fields, each ended by NUL: kind, operation, subject, reason. */
static void report(const char *kind, const char *operation, const char *subject, const char *reason) {
  if (status_fd < 0) {
    dprintf(STDERR_FILENO, "kiln-launcher: %s %s: %s\n", operation, subject, reason);
    return;
  }
  const char *fields[] = {kind, operation, subject, reason};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    if (write(status_fd, fields[i], strlen(fields[i]) + 1) < 0) return;
  }
}

_Noreturn void fail(const char *operation, const char *subject) { fail_because(operation, subject, strerror(errno)); }

_Noreturn void fail_because(const char *operation, const char *subject, const char *reason) {
  report("setup", operation, subject, reason);
  _exit(EXIT_SETUP_FAILED);
}

_Noreturn void fail_command(const char *command, int error) {
  int is_missing = error == ENOENT || error == ENOTDIR;
  report(is_missing ? "not-found" : "not-executable", "exec", command, strerror(error));
  _exit(is_missing ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}
