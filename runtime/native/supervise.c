#define _GNU_SOURCE
#include "supervise.h"
#include "report.h"
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { POLL_SIGNALS, POLL_CONTROL, POLL_RELAY, POLL_STREAMS = POLL_RELAY + RELAY_POLLS, POLLS = POLL_STREAMS + STREAM_POLLS };

static void signal_inside(const struct supervised *supervised, int number) {
  syscall(SYS_pidfd_send_signal, supervised->pidfd, number, NULL, 0);
}

/* Signals that stop a process for using a terminal in the background tell of this process, not of the payload. */
static bool is_forwarded(int number) {
  return number != SIGCHLD && number != SIGTSTP && number != SIGTTIN && number != SIGTTOU;
}

/* True when the sandbox has ended. */
static bool handle_signal(const struct supervised *supervised, const struct relay *relay, int signals, int *status) {
  struct signalfd_siginfo info;
  if (read(signals, &info, sizeof info) != sizeof info) return false;
  int number = (int)info.ssi_signo;
  if (number == SIGCHLD) return waitpid(supervised->pid, status, WNOHANG) == supervised->pid;
  if (number == SIGWINCH && supervised->terminal >= 0) relay_resize(relay);
  else if (is_forwarded(number)) signal_inside(supervised, number);
  return false;
}

/* Nothing is ever written to it, so that something to read is its end. */
static bool is_unwanted(const struct pollfd *control) { return control->revents != 0; }

int supervise(struct supervised supervised) {
  sigset_t all;
  sigfillset(&all);
  int signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK), status = 0;
  if (signals < 0) fail("wait for signals", "");
  struct relay relay;
  relay_start(&relay, supervised.terminal);
  for (;;) {
    struct pollfd polls[POLLS] = {
        [POLL_SIGNALS] = {.fd = signals, .events = POLLIN},
        [POLL_CONTROL] = {.fd = supervised.control, .events = POLLIN},
    };
    relay_prepare(&relay, polls + POLL_RELAY);
    streams_prepare(&supervised.streams, polls + POLL_STREAMS);
    if (poll(polls, POLLS, -1) < 0 && errno != EINTR) fail("wait for the sandbox", "");
    if (is_unwanted(&polls[POLL_CONTROL])) {
      signal_inside(&supervised, SIGKILL);
      supervised.control = -1;
    }
    relay_handle(&relay, polls + POLL_RELAY);
    streams_handle(&supervised.streams, polls + POLL_STREAMS);
    if (polls[POLL_SIGNALS].revents != 0 && handle_signal(&supervised, &relay, signals, &status)) break;
  }
  relay_end(&relay);
  streams_end(&supervised.streams);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
