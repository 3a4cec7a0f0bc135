/*
 * apply [--user-xattrs] DIRECTORY
 *
 * Makes the files of a layer in a fresh directory, as overlayfs wants its lower directories. Records come on standard
 * input (runtime/layer/apply-process.ts writes them); nothing is answered until the end or the first failure.
 */
#define _GNU_SOURCE
#include "layer-tree.h"
#include "record.h"
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Path, link target, attributes and, for a file, its content follow. */
struct __attribute__((packed)) record {
  uint32_t type, mode, uid, gid, mtime_nanoseconds, path_length, link_length, xattrs_length;
  int64_t mtime_seconds;
  /* Of a device: major << 32 | minor. */
  uint64_t size;
};

static struct buffer output;
static unsigned char input[1 << 20];
static size_t input_start, input_end;
static char path[PATH_MAX], link_target[PATH_MAX];
static struct buffer xattrs;
const char *current_path = "";

void report(char kind, int error, const char *text) {
  buffer_add_u32(&output, (uint32_t)kind);
  buffer_add_u32(&output, (uint32_t)error);
  buffer_add_u32(&output, strlen(text));
  buffer_add(&output, text, strlen(text));
}

_Noreturn void fail_apply(const char *action) {
  int error = errno;
  report('A', 0, action);
  report('T', 0, strerror(error));
  report('X', error, current_path);
  buffer_flush(&output, STDOUT_FILENO);
  exit(1);
}

/* Between one byte and `most` of the input, to be used before the next call. */
static unsigned char *next_input(size_t most, size_t *count) {
  while (input_start == input_end) {
    ssize_t got = read(STDIN_FILENO, input, sizeof input);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      if (got == 0) errno = EPIPE;
      fail_apply("receive");
    }
    input_start = 0;
    input_end = (size_t)got;
  }
  *count = input_end - input_start < most ? input_end - input_start : most;
  input_start += *count;
  return input + input_start - *count;
}

static void read_input(void *to, size_t length) {
  for (size_t done = 0, count; done < length; done += count) {
    unsigned char *from = next_input(length - done, &count);
    memcpy((char *)to + done, from, count);
  }
}

static void read_text(char *to, size_t length) {
  if (length >= PATH_MAX) {
    errno = ENAMETOOLONG;
    fail_apply("resolve");
  }
  read_input(to, length);
  to[length] = 0;
}

static int may_be_skipped(const char *key, int is_plain) {
  if (errno != EPERM && errno != ENOTSUP && errno != EINVAL) return 0;
  if (!strncmp(key, "user.", 5)) return !is_plain;
  return strcmp(key, "security.capability") && strncmp(key, "system.posix_acl_", 17);
}

/* On an open file or directory, or (`fd` < 0) on what `name` is in the working directory. */
static void set_xattrs(int fd, const char *name) {
  unsigned char *at = xattrs.bytes, *end = at + xattrs.length;
  while (at < end) {
    uint32_t lengths[2];
    char key[XATTR_NAME_MAX + 1];
    memcpy(lengths, at, sizeof lengths);
    unsigned char *value = at + sizeof lengths + lengths[0];
    if (lengths[0] > XATTR_NAME_MAX) {
      errno = ERANGE;
      fail_apply("set an attribute of");
    }
    memcpy(key, at + sizeof lengths, lengths[0]);
    key[lengths[0]] = 0;
    int result = fd >= 0 ? fsetxattr(fd, key, value, lengths[1], 0) : lsetxattr(name, key, value, lengths[1], 0);
    if (result < 0) {
      if (!may_be_skipped(key, fd >= 0)) fail_apply("set an attribute of");
      report('S', errno, current_path);
    }
    at = value + lengths[1];
  }
}

static struct timespec mtime_of(const struct record *record) {
  return (struct timespec){.tv_sec = record->mtime_seconds, .tv_nsec = record->mtime_nanoseconds};
}

static void copy_content(int fd, uint64_t size) {
  for (uint64_t done = 0; done < size;) {
    size_t count;
    unsigned char *bytes = next_input(size - done < sizeof input ? size - done : sizeof input, &count);
    done += count;
    while (count) {
      ssize_t written = write(fd, bytes, count);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail_apply("write");
      bytes += written;
      count -= (size_t)written;
    }
  }
}

/* chown clears setuid bits and capabilities, so mode and attributes come after it. */
static void set_metadata(int fd, const struct record *record) {
  if (fchown(fd, record->uid, record->gid) < 0) fail_apply("chown");
  if (fchmod(fd, record->mode) < 0) fail_apply("chmod");
  set_xattrs(fd, NULL);
}

static void make_file(int parent, const char *name, const struct record *record) {
  tree_remove(parent, name);
  int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) fail_apply("create");
  copy_content(fd, record->size);
  set_metadata(fd, record);
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, mtime_of(record)};
  if (futimens(fd, times) < 0) fail_apply("set the time of");
  close(fd);
}

static void make_directory(int parent, const char *name, const struct record *record) {
  int fd = *name ? tree_directory(parent, name) : dup(tree_root());
  if (fd < 0) fail_apply("open");
  set_metadata(fd, record);
  tree_remember_times(fd, mtime_of(record));
  close(fd);
}

/* Symbolic links, devices and fifos: what cannot be opened. */
static void make_special(int parent, const char *name, const struct record *record) {
  mode_t type = record->type == 'c' ? S_IFCHR : record->type == 'b' ? S_IFBLK : S_IFIFO;
  tree_remove(parent, name);
  if (record->type == 'l') {
    if (symlinkat(link_target, parent, name) < 0) fail_apply("create");
  } else if (mknodat(parent, name, type | 0600, makedev(record->size >> 32, record->size & 0xffffffff)) < 0) {
    /* Devices cannot be made in a user namespace; containers get their own /dev. */
    if (errno != EPERM || type == S_IFIFO) fail_apply("create");
    report('S', errno, current_path);
    return;
  }
  if (fchownat(parent, name, record->uid, record->gid, AT_SYMLINK_NOFOLLOW) < 0) fail_apply("chown");
  if (record->type != 'l' && fchmodat(parent, name, record->mode, 0) < 0) fail_apply("chmod");
  if (xattrs.length) {
    if (fchdir(parent) < 0) fail_apply("open");
    set_xattrs(-1, name);
  }
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, mtime_of(record)};
  if (utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0) fail_apply("set the time of");
}

static void make_hard_link(int parent, const char *name) {
  const char *target_name;
  struct stat target, here;
  int own = fcntl(parent, F_DUPFD_CLOEXEC, 0);
  int target_parent = own < 0 ? -1 : tree_parent(link_target, &target_name);
  if (target_parent < 0 || fstatat(target_parent, target_name, &target, AT_SYMLINK_NOFOLLOW) < 0) fail_apply("link");
  if (S_ISDIR(target.st_mode) || is_whiteout(&target)) {
    errno = ENOENT;
    fail_apply("link");
  }
  int is_there = fstatat(own, name, &here, AT_SYMLINK_NOFOLLOW) == 0;
  if (!is_there || here.st_dev != target.st_dev || here.st_ino != target.st_ino) {
    int from = fcntl(target_parent, F_DUPFD_CLOEXEC, 0);
    tree_remove(own, name);
    if (from < 0 || linkat(from, target_name, own, name, 0) < 0) fail_apply("link");
    close(from);
  }
  close(own);
}

/* Whiteouts speak of the layers below only: what this layer has at the path stays, and hides what is below it. */
static void make_whiteout(int parent, const char *name) {
  struct stat stat;
  if (fstatat(parent, name, &stat, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!S_ISDIR(stat.st_mode)) return;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fsetxattr(fd, opaque_xattr, "y", 1, 0) < 0) fail_apply("mark as opaque");
    close(fd);
  } else if (mknodat(parent, name, S_IFCHR, 0) < 0) {
    fail_apply("create the whiteout of");
  }
}

static void make_opaque_directory(void) {
  /* As the parent of something in it, the directory is found, or made. */
  const char *name;
  char inside[PATH_MAX + 2];
  snprintf(inside, sizeof inside, "%s/.", path);
  int fd = tree_parent(*path ? inside : ".", &name);
  if (fsetxattr(fd, opaque_xattr, "y", 1, 0) < 0) fail_apply("mark as opaque");
}

static void apply_record(const struct record *record) {
  const char *name = "";
  if (record->type == 'o') {
    make_opaque_directory();
    return;
  }
  int parent = *path ? tree_parent(path, &name) : tree_root();
  switch (record->type) {
    case 'f': make_file(parent, name, record); break;
    case 'd': make_directory(parent, name, record); break;
    case 'h': make_hard_link(parent, name); break;
    case 'w': make_whiteout(parent, name); break;
    default: make_special(parent, name, record); break;
  }
}

int apply_main(int argc, char **argv) {
  int with_user_xattrs = argc == 3 && !strcmp(argv[1], "--user-xattrs");
  if (argc != 2 + with_user_xattrs) {
    fprintf(stderr, "usage: apply [--user-xattrs] DIRECTORY\n");
    return 2;
  }
  if (with_user_xattrs) opaque_xattr = "user.overlay.opaque";
  umask(0);
  tree_open(argv[argc - 1]);
  for (;;) {
    struct record record;
    read_input(&record, sizeof record);
    if (record.type == 'e') break;
    read_text(path, record.path_length);
    current_path = path;
    read_text(link_target, record.link_length);
    xattrs.length = 0;
    read_input(buffer_room(&xattrs, record.xattrs_length), record.xattrs_length);
    xattrs.length = record.xattrs_length;
    apply_record(&record);
  }
  tree_finish();
  report('E', 0, "");
  return buffer_flush(&output, STDOUT_FILENO) < 0;
}
