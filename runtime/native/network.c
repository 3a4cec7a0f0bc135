#define _GNU_SOURCE
#include "network.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_FD 3
#define REPORT_FD 4
#define PATIENCE_MS 10000

struct program {
  pid_t pid;
  int ended;  /* readable at its end */
  int ready;  /* readable when it says so */
  int errors; /* what it complains about */
};

static int open_namespace(pid_t process) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/net", (int)process);
  int namespace = open(path, O_RDONLY | O_CLOEXEC);
  if (namespace < 0) fail("open the network namespace", path);
  return namespace;
}

/* The process outside may have died before the kernel was told to end this one with it. */
static void die_with_outside(int alive) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) fail("tie the network to its parent", "");
  struct pollfd hangup = {.fd = alive};
  if (poll(&hangup, 1, 0) > 0) _exit(EXIT_SETUP_FAILED);
}

/* 0 the namespace, 1 and 2 nothing, 3 the way to say "ready", 4 the way to say what failed; and no other. */
static void arrange_descriptors(int namespace, int ready) {
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0) fail("open", "/dev/null");
  int is_arranged = dup2(namespace, STDIN_FILENO) >= 0 && dup2(nothing, STDOUT_FILENO) >= 0 &&
                    dup2(nothing, STDERR_FILENO) >= 0 && dup3(ready, READY_FD, O_CLOEXEC) >= 0;
  int first_other = report_descriptor() == REPORT_FD ? REPORT_FD + 1 : REPORT_FD;
  if (!is_arranged || syscall(SYS_close_range, first_other, ~0U, 0) < 0) fail("arrange descriptors", "");
}

static _Noreturn void become_program(const struct spec *spec, int ready, int errors) {
  char **arguments = list_fields(spec, OP_NETWORK_ARG), *environment[] = {NULL};
  sigset_t none;
  sigemptyset(&none);
  signal(SIGPIPE, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (dup2(errors, STDERR_FILENO) >= 0 && dup2(ready, READY_FD) >= 0 &&
      syscall(SYS_close_range, READY_FD + 1, ~0U, 0) == 0) {
    execve(arguments[0], arguments, environment);
  }
  dprintf(STDERR_FILENO, "%s", strerror(errno));
  _exit(EXIT_NOT_EXECUTABLE);
}

static struct program start_program(const struct spec *spec) {
  int ready[2], errors[2];
  if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC) < 0) fail("make a pipe", "");
  pid_t pid = fork();
  if (pid < 0) fail("start a process", "");
  if (pid == 0) become_program(spec, ready[1], errors[1]);
  close(ready[1]);
  close(errors[1]);
  int ended = (int)syscall(SYS_pidfd_open, pid, 0);
  if (ended < 0) fail("wait for the network", "");
  return (struct program){.pid = pid, .ended = ended, .ready = ready[0], .errors = errors[0]};
}

static _Noreturn void tell_failure(const struct spec *spec, const struct program *program, const char *otherwise) {
  char said[512];
  fcntl(program->errors, F_SETFL, O_NONBLOCK);
  ssize_t length = read(program->errors, said, sizeof said - 1);
  if (length > 0) said[length] = '\0';
  fail_because("connect the network by", find_operation(spec, OP_NETWORK_ARG)->field[0], length > 0 ? said : otherwise);
}

static void wait_until_ready(const struct spec *spec, const struct program *program) {
  struct pollfd polls[] = {{.fd = program->ended, .events = POLLIN}, {.fd = program->ready, .events = POLLIN}};
  for (;;) {
    int status, count = poll(polls, sizeof polls / sizeof *polls, PATIENCE_MS);
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) tell_failure(spec, program, "it is not ready after ten seconds");
    if (polls[1].revents & POLLIN) return;
    /* The end of this pipe says nothing: a program that goes on in the background may keep or close it. */
    if (polls[1].revents != 0) polls[1].fd = -1;
    if (polls[0].revents == 0 || waitpid(program->pid, &status, 0) != program->pid) continue;
    if (status != 0) tell_failure(spec, program, "it failed and does not say why");
    return;
  }
}

/*
 * The first process of a pid namespace: when it ends, the kernel kills all that the program started, wherever the
 * program moved it to. All signals are blocked.
 */
static _Noreturn void hold_network(const struct spec *spec, int namespace, struct network_channels channels) {
  die_with_outside(channels.alive);
  prctl(PR_SET_NAME, "kiln-network");
  arrange_descriptors(namespace, channels.ready);
  struct program program = start_program(spec);
  wait_until_ready(spec, &program);
  if (write(READY_FD, "", 1) != 1) _exit(EXIT_SETUP_FAILED);
  signal(SIGCHLD, SIG_IGN);
  /* Complaints are read so that writing them never blocks the program. */
  for (char said[512]; read(program.errors, said, sizeof said) > 0;) continue;
  for (;;) pause();
}

pid_t start_network(const struct spec *spec, struct network_channels channels) {
  int namespace = open_namespace(channels.inside);
  struct clone_args arguments = {.flags = CLONE_NEWPID, .exit_signal = SIGCHLD};
  pid_t holder = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
  if (holder < 0) fail("start the network", "");
  if (holder == 0) hold_network(spec, namespace, channels);
  close(namespace);
  return holder;
}

void end_network(pid_t holder) {
  kill(holder, SIGKILL);
  while (waitpid(holder, NULL, 0) < 0 && errno == EINTR) continue;
}
