#define _GNU_SOURCE
#include "terminal.h"
#include "kernel.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define END_OF_INPUT '\x04'

union control {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

static void send_descriptor(int socket, int fd) {
  union control control = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)}};
  memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
  struct iovec byte = {.iov_base = (char[]){0}, .iov_len = 1};
  struct msghdr message = {.msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0) fail("hand over the terminal", "");
}

static int receive_descriptor(int socket) {
  union control control;
  char byte;
  struct iovec part = {.iov_base = &byte, .iov_len = 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) <= 0) return -1;
  const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header == NULL || header->cmsg_type != SCM_RIGHTS) return -1;
  int fd;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

int make_terminal(int socket, uid_t owner) {
  int other_end = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), locked = 0;
  if (other_end < 0 || ioctl(other_end, TIOCSPTLCK, &locked) < 0) fail("make a terminal", "/dev/pts/ptmx");
  int terminal = ioctl(other_end, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) fail("make a terminal", "/dev/pts/ptmx");
  if (fchown(terminal, owner, (gid_t)-1) < 0) fail("give the terminal to the user", "");
  /* It is the first of its devpts. OCI runtime-spec, config.md#process: bound to /dev/console. */
  int console = open("/dev/console", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  if (console < 0 || sys_mount("/dev/pts/0", "/dev/console", NULL, MS_BIND, NULL) < 0) fail("mount", "/dev/console");
  close(console);
  send_descriptor(socket, other_end);
  close(other_end);
  return terminal;
}

void use_terminal(int terminal) {
  if (ioctl(terminal, TIOCSCTTY, 0) < 0) fail("take the terminal", "");
  for (int fd = 0; fd <= 2; fd++) {
    if (dup2(terminal, fd) < 0) fail("take the terminal", "");
  }
}

void relay_start(struct relay *relay, int socket) {
  *relay = (struct relay){.socket = socket, .other_end = -1, .input_open = true};
}

void relay_prepare(const struct relay *relay, struct pollfd polls[RELAY_POLLS]) {
  bool wants_input = relay->other_end >= 0 && relay->input_open && relay->input_length == 0;
  short writable = relay->input_length > 0 ? POLLOUT : 0;
  polls[0] = (struct pollfd){.fd = relay->socket, .events = POLLIN};
  polls[1] = (struct pollfd){.fd = relay->other_end, .events = (short)(POLLIN | writable)};
  polls[2] = (struct pollfd){.fd = wants_input ? STDIN_FILENO : -1, .events = POLLIN};
}

void relay_resize(const struct relay *relay) {
  struct winsize size;
  if (relay->other_end < 0) return;
  if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0) return;
  ioctl(relay->other_end, TIOCSWINSZ, &size);
}

/* In raw mode the terminal outside interprets nothing: Ctrl-C, echo and editing are the inner terminal's. */
static void connect_terminal(struct relay *relay) {
  relay->other_end = receive_descriptor(relay->socket);
  close(relay->socket);
  relay->socket = -1;
  if (relay->other_end < 0) return;
  fcntl(relay->other_end, F_SETFL, O_RDWR | O_NONBLOCK);
  relay_resize(relay);
  if (tcgetattr(STDIN_FILENO, &relay->before) < 0) return;
  struct termios raw = relay->before;
  cfmakeraw(&raw);
  relay->is_raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

/* Waits where the reader is slow; gives up where there is none, so that the payload goes on. */
static void write_output(const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t count = write(STDOUT_FILENO, bytes, length);
    if (count < 0 && errno == EAGAIN) {
      struct pollfd writable = {.fd = STDOUT_FILENO, .events = POLLOUT};
      poll(&writable, 1, -1);
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return;
    bytes += count;
    length -= (size_t)count;
  }
}

static bool carry_output(const struct relay *relay) {
  char bytes[16384];
  ssize_t count = read(relay->other_end, bytes, sizeof bytes);
  if (count <= 0) return false;
  write_output(bytes, (size_t)count);
  return true;
}

static void take_input(struct relay *relay) {
  ssize_t count = read(STDIN_FILENO, relay->input, sizeof relay->input);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count > 0) {
    relay->input_length = (size_t)count;
    return;
  }
  relay->input_open = false;
  relay->input[0] = END_OF_INPUT;
  relay->input_length = 1;
}

static void give_input(struct relay *relay) {
  ssize_t count = write(relay->other_end, relay->input, relay->input_length);
  if (count <= 0) return;
  relay->input_length -= (size_t)count;
  memmove(relay->input, relay->input + count, relay->input_length);
}

void relay_handle(struct relay *relay, const struct pollfd polls[RELAY_POLLS]) {
  if (polls[0].revents != 0) connect_terminal(relay);
  if (polls[1].revents & POLLIN) carry_output(relay);
  if (polls[1].revents & POLLOUT) give_input(relay);
  if (polls[2].revents != 0) take_input(relay);
}

void relay_end(struct relay *relay) {
  while (relay->other_end >= 0 && carry_output(relay)) continue;
  if (relay->is_raw) tcsetattr(STDIN_FILENO, TCSADRAIN, &relay->before);
}
