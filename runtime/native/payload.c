#define _GNU_SOURCE
#include "payload.h"
#include "privileges.h"
#include "report.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define STATUS_FD 3

static void reset_signals(void) {
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Leaves the standard three and the descriptor for reports, which is closed by exec. A descriptor of the host's file
 * system here would be a way out: CVE-2024-21626.
 */
static void close_descriptors(void) {
  if (report_descriptor() >= 0 && report_descriptor() != STATUS_FD) {
    if (dup3(report_descriptor(), STATUS_FD, O_CLOEXEC) < 0) fail("close descriptors", "");
    report_to(STATUS_FD);
  }
  if (syscall(SYS_close_range, STATUS_FD + 1, ~0U, 0) < 0) fail("close descriptors", "");
}

/* As Docker does for an image that names a working directory and has none. What stands in the way, chdir tells. */
static void make_folders(const char *folder) {
  char path[PATH_MAX];
  if (snprintf(path, sizeof path, "%s", folder) >= (int)sizeof path) return;
  for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(path, 0755);
    *slash = '/';
  }
  mkdir(path, 0755);
}

static void enter_working_folder(const struct spec *spec) {
  const struct operation *operation = find_operation(spec, OP_CWD);
  const char *folder = operation == NULL ? "/" : operation->field[0];
  char where[PATH_MAX];
  if (chdir(folder) < 0 && errno == ENOENT) make_folders(folder);
  if (chdir(folder) < 0) fail("enter the working directory", folder);
  /* The system call tells of a folder outside the root by a prefix, which is no absolute path. */
  if (syscall(SYS_getcwd, where, sizeof where) < 0) fail("enter the working directory", folder);
  if (where[0] != '/') fail_because("enter the working directory", folder, "it is outside the sandbox");
}

static const char *search_path(char *const *environment) {
  for (; *environment != NULL; environment++) {
    if (strncmp(*environment, "PATH=", 5) == 0) return *environment + 5;
  }
  return DEFAULT_PATH;
}

/* execvp(3) would run files without a format through a shell; Docker does not, and neither does this. */
static int search_and_execute(char *const *arguments, char *const *environment) {
  const char *command = arguments[0];
  if (command[0] == '\0') return ENOENT;
  if (strchr(command, '/') != NULL) {
    execve(command, arguments, environment);
    return errno;
  }
  int reason = ENOENT;
  for (const char *path = search_path(environment);;) {
    const char *end = strchrnul(path, ':');
    char file[PATH_MAX];
    int length = snprintf(file, sizeof file, "%.*s/%s", (int)(end - path), end == path ? "." : path, command);
    if (length < PATH_MAX) {
      execve(file, arguments, environment);
      if (errno != ENOENT && errno != ENOTDIR && reason == ENOENT) reason = errno;
    }
    if (*end == '\0') return reason;
    path = end + 1;
  }
}

_Noreturn void become_payload(const struct spec *spec, int terminal) {
  char **arguments = list_fields(spec, OP_ARG), **environment = list_fields(spec, OP_ENV);
  if (arguments[0] == NULL) fail_because("run", "", "there is no command");
  if (setsid() < 0) fail("start a session", "");
  if (terminal >= 0) use_terminal(terminal);
  reset_signals();
  close_descriptors();
  umask(022);
  enter_working_folder(spec);
  set_limits(spec);
  become_user(spec);
  install_seccomp(spec);
  fail_command(arguments[0], search_and_execute(arguments, environment));
}
