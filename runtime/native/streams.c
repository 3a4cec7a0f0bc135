#define _GNU_SOURCE
#include "streams.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 16 };

static bool is_socket(int fd, struct stat *stat) { return fstat(fd, stat) == 0 && S_ISSOCK(stat->st_mode); }

static void give_to_user(const struct spec *spec, int fd) {
  const struct operation *user = find_operation(spec, OP_USER);
  if (user == NULL) return;
  uid_t uid = (uid_t)strtoul(user->field[0], NULL, 10);
  gid_t gid = (gid_t)strtoul(user->field[1], NULL, 10);
  /* An id that does not exist here is refused, with its reason, when the payload is to become it. */
  if (fchown(fd, uid, gid) < 0 && errno != EINVAL) fail("give the payload its output", "");
}

static struct stream replace(const struct spec *spec, int fd) {
  int ends[2];
  struct stream stream = {.to = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)};
  if (stream.to < 0 || pipe2(ends, O_CLOEXEC) < 0) fail("make a pipe", "");
  give_to_user(spec, ends[1]);
  if (dup2(ends[1], fd) < 0) fail("make a pipe", "");
  close(ends[1]);
  stream.from = ends[0];
  return stream;
}

struct streams streams_replace(const struct spec *spec) {
  struct streams streams = {.list = {{-1, -1}, {-1, -1}}};
  struct stat output, error;
  bool replaces_output = is_socket(STDOUT_FILENO, &output);
  bool replaces_error = is_socket(STDERR_FILENO, &error);
  /* One socket for both keeps the order of what is written to both. */
  bool is_shared = replaces_output && replaces_error && output.st_ino == error.st_ino && output.st_dev == error.st_dev;
  if (replaces_output) streams.list[0] = replace(spec, STDOUT_FILENO);
  if (is_shared && dup2(STDOUT_FILENO, STDERR_FILENO) < 0) fail("make a pipe", "");
  if (replaces_error && !is_shared) streams.list[1] = replace(spec, STDERR_FILENO);
  return streams;
}

void streams_release(const struct streams *streams) {
  if (streams->list[0].from < 0 && streams->list[1].from < 0) return;
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0 || dup2(nothing, STDOUT_FILENO) < 0 || dup2(nothing, STDERR_FILENO) < 0) fail("open", "/dev/null");
  close(nothing);
}

void streams_prepare(const struct streams *streams, struct pollfd *polls) {
  for (int i = 0; i < STREAM_POLLS; i++) polls[i] = (struct pollfd){.fd = streams->list[i].from, .events = POLLIN};
}

/* False at the end, and when nobody reads any more. */
static bool pass_on(const struct stream *stream) {
  ssize_t count = splice(stream->from, NULL, stream->to, NULL, CHUNK_BYTES, SPLICE_F_MOVE);
  if (count < 0 && errno == EAGAIN) {
    /* The socket takes no more for now, and whoever gave it said not to wait in writing to it. */
    struct pollfd writable = {.fd = stream->to, .events = POLLOUT};
    poll(&writable, 1, -1);
    return true;
  }
  return count > 0 || (count < 0 && errno == EINTR);
}

static void stop(struct stream *stream) {
  close(stream->from);
  close(stream->to);
  stream->from = -1;
}

void streams_handle(struct streams *streams, const struct pollfd *polls) {
  for (int i = 0; i < STREAM_POLLS; i++) {
    struct stream *stream = &streams->list[i];
    if (stream->from >= 0 && polls[i].revents != 0 && !pass_on(stream)) stop(stream);
  }
}

void streams_end(struct streams *streams) {
  for (int i = 0; i < STREAM_POLLS; i++) {
    struct stream *stream = &streams->list[i];
    while (stream->from >= 0) {
      if (!pass_on(stream)) stop(stream);
    }
  }
}
