/*
 * run: runs a command in a sandbox. Descriptor 3 gives the list of operations and then says, by hanging up, that the
 * sandbox is no longer wanted; descriptor 4 takes the report of a failure.
 */
#define _GNU_SOURCE
#include "init.h"
#include "network.h"
#include "report.h"
#include "seal.h"
#include "spec.h"
#include "streams.h"
#include "supervise.h"
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CONTROL_FD 3
#define REPORT_FD 4

static const struct {
  const char *name;
  uint64_t flag;
} namespaces[] = {
    {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID}, {"ipc", CLONE_NEWIPC},
    {"uts", CLONE_NEWUTS},  {"net", CLONE_NEWNET}, {"cgroup", CLONE_NEWCGROUP},
};

static uint64_t namespace_flag(const char *name) {
  for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++) {
    if (strcmp(namespaces[i].name, name) == 0) return namespaces[i].flag;
  }
  fail_because("create namespaces", name, "there is no such namespace");
}

static uint64_t namespace_flags(const struct spec *spec) {
  uint64_t flags = 0;
  for (size_t i = 0; i < spec->count; i++) {
    if (spec->operations[i].kind == OP_NAMESPACE) flags |= namespace_flag(spec->operations[i].field[0]);
  }
  return flags;
}

static void die_with_parent(const struct spec *spec) {
  const struct operation *parent = find_operation(spec, OP_PARENT);
  if (parent == NULL) return;
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) fail("tie the launcher to its parent", "");
  if (getppid() != atoi(parent->field[0])) _exit(EXIT_SETUP_FAILED);
}

static pid_t clone_into(uint64_t namespace_flags, int *pidfd) {
  struct clone_args arguments = {
      .flags = namespace_flags | CLONE_PIDFD,
      .pidfd = (uint64_t)(uintptr_t)pidfd,
      .exit_signal = SIGCHLD,
  };
  return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

static pid_t start_init(const struct spec *spec, int *pidfd) {
  uint64_t flags = namespace_flags(spec);
  /* Without these two the operations would change the mounts of the host, and its processes would be killed. */
  if (!(flags & CLONE_NEWNS) || !(flags & CLONE_NEWPID)) {
    fail_because("create namespaces", "", "a sandbox needs mount and pid namespaces of its own");
  }
  pid_t pid = clone_into(flags, pidfd);
  /* Not every kernel is built with cgroup namespaces; without one a sandbox only sees the names of its cgroups. */
  if (pid < 0 && errno == EINVAL) pid = clone_into(flags & ~(uint64_t)CLONE_NEWCGROUP, pidfd);
  if (pid < 0) fail("create namespaces", "");
  return pid;
}

static void block_signals(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  /* Of writing to a closed pipe the relay learns by errno. */
  signal(SIGPIPE, SIG_IGN);
}

int run_main(int argc, char **argv) {
  if (fcntl(REPORT_FD, F_GETFD) >= 0) report_to(REPORT_FD);
  run_sealed(argc, argv);
  prctl(PR_SET_NAME, "kiln-launcher");
  fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC);
  fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
  struct spec spec = read_spec(CONTROL_FD);
  die_with_parent(&spec);
  /* Out of the session of the terminal: keys reach the payload through the parent only, once, and TIOCSTI nothing. */
  setsid();
  block_signals();

  bool has_terminal = find_operation(&spec, OP_TERMINAL) != NULL;
  struct streams streams = {.list = {{-1, -1}, {-1, -1}}};
  if (!has_terminal) streams = streams_replace(&spec);
  bool has_network = find_operation(&spec, OP_NETWORK_ARG) != NULL;
  int alive[2], terminal[2] = {-1, -1}, connected[2] = {-1, -1}, pidfd = -1;
  if (pipe2(alive, O_CLOEXEC) < 0) fail("make a pipe", "");
  if (has_terminal && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, terminal) < 0) fail("make a socket", "");
  if (has_network && pipe2(connected, O_CLOEXEC) < 0) fail("make a pipe", "");
  pid_t pid = start_init(&spec, &pidfd);
  if (pid == 0) {
    close(CONTROL_FD);
    close(alive[1]);
    if (terminal[0] >= 0) close(terminal[0]);
    if (has_network) close(connected[1]);
    run_init(&spec, (struct init_channels){.alive = alive[0], .terminal = terminal[1], .network = connected[0]});
  }
  pid_t network = -1;
  if (has_network) {
    network = start_network(&spec, (struct network_channels){.inside = pid, .alive = alive[0], .ready = connected[1]});
    close(connected[0]);
    close(connected[1]);
  }
  close(alive[0]);
  if (terminal[1] >= 0) close(terminal[1]);
  streams_release(&streams);
  int status = supervise((struct supervised){
      .pid = pid, .pidfd = pidfd, .control = CONTROL_FD, .terminal = terminal[0], .streams = streams});
  if (has_network) end_network(network);
  return status;
}
