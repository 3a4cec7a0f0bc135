#define _GNU_SOURCE
#include "init.h"
#include "mountpoint.h"
#include "mounts.h"
#include "payload.h"
#include "privileges.h"
#include "report.h"
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The process outside may have died before the kernel was told to end this one with it. */
static void die_with_outside(int alive) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) fail("tie the sandbox to its parent", "");
  struct pollfd hangup = {.fd = alive};
  if (poll(&hangup, 1, 0) > 0) _exit(EXIT_SETUP_FAILED);
}

/* Who was to connect it has reported what went wrong. */
static void wait_for_network(int channel) {
  char byte;
  ssize_t count;
  do count = read(channel, &byte, 1);
  while (count < 0 && errno == EINTR);
  if (count != 1) _exit(EXIT_SETUP_FAILED);
  close(channel);
}

static int exit_status(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* True when the payload was among the dead. */
static int reap(pid_t payload, int *payload_status) {
  int status, has_ended = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid != payload) continue;
    *payload_status = exit_status(status);
    has_ended = 1;
  }
  return has_ended;
}

static int serve(pid_t payload) {
  sigset_t all;
  sigfillset(&all);
  for (int status = 0;;) {
    int number = sigwaitinfo(&all, NULL);
    if (number == SIGCHLD && reap(payload, &status)) return status;
    if (number > 0 && number != SIGCHLD) kill(payload, number);
  }
}

static void end_everyone(void) {
  kill(-1, SIGKILL);
  while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) continue;
}

static uid_t payload_user(const struct spec *spec) {
  const struct operation *user = find_operation(spec, OP_USER);
  return user == NULL ? 0 : (uid_t)strtoul(user->field[0], NULL, 10);
}

/* All signals are blocked since before this process began, so that none is lost between fork and sigwaitinfo. */
_Noreturn void run_init(const struct spec *spec, struct init_channels channels) {
  die_with_outside(channels.alive);
  set_up_sandbox(spec);
  int terminal = -1;
  if (channels.terminal >= 0) {
    terminal = make_terminal(channels.terminal, payload_user(spec));
    close(channels.terminal);
  }
  if (channels.network >= 0) wait_for_network(channels.network);
  pid_t payload = fork();
  if (payload < 0) fail("start a process", "");
  if (payload == 0) become_payload(spec, terminal);

  keep_init_capabilities();
  /* Dropping capabilities may make the kernel forget; proc(5), prctl(2). */
  die_with_outside(channels.alive);
  int status = serve(payload);
  end_everyone();
  remove_made_mountpoints();
  _exit(status);
}
