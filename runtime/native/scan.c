/*
 * scan [--clamp FROM_SECONDS FROM_NANOSECONDS TO_SECONDS TO_NANOSECONDS] [--under HEX] DIRECTORY
 * scan --listed DIRECTORY
 *
 * Prints one record per file of the tree, in bytewise order of the paths, the directory itself first with an empty
 * path. `--under` names, in hex, what is below DIRECTORY to start from; no symbolic link on the way is followed.
 * `--clamp` brings modification times that are FROM or later to TO, on disk too, and removes sockets, so that the tree
 * equals the layer written from it. `--listed` prints only what standard input names: paths relative to DIRECTORY, each
 * ended by a zero byte, in that order; what is not there is left out. A record of no path and mode 0 ends the output; without it the output is cut off.
 */
#define _GNU_SOURCE
#include "record.h"
#include "verbs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* runtime/layer/scan.ts reads this; the path, the link target and the attributes follow. */
struct __attribute__((packed)) record {
  uint32_t mode, uid, gid, links, major, minor, mtime_nanoseconds, path_length, link_length, xattrs_length;
  uint64_t device, inode, size;
  int64_t mtime_seconds;
};

struct item {
  /* With a trailing slash for what is inside the directory: `a`, `a.b`, `a/c` is the order of whole paths. */
  char *name;
  struct stat stat;
};

static struct buffer output;
static char path[PATH_MAX + NAME_MAX + 2];
static int is_clamping;
static struct timespec clamp_from, clamp_to;

static void fail(const char *what) {
  fprintf(stderr, "cannot %s %s: %s\n", what, *path ? path : ".", strerror(errno));
  exit(1);
}

static void clamp(const char *name, struct stat *stat) {
  struct timespec *time = &stat->st_mtim;
  if (!is_clamping || time->tv_sec < clamp_from.tv_sec) return;
  if (time->tv_sec == clamp_from.tv_sec && time->tv_nsec < clamp_from.tv_nsec) return;
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, clamp_to};
  if (utimensat(AT_FDCWD, name, times, AT_SYMLINK_NOFOLLOW) < 0) fail("set the time of");
  *time = clamp_to;
}

static ssize_t list_xattrs(const char *name, struct buffer *names) {
  names->length = 0;
  for (;;) {
    char *room = (char *)buffer_room(names, 4096);
    ssize_t length = llistxattr(name, room, names->capacity);
    if (length >= 0) return length;
    if (errno == ENOTSUP) return 0;
    if (errno != ERANGE) fail("list the attributes of");
    buffer_room(names, names->capacity * 2);
  }
}

static void add_xattr(const char *name, const char *key) {
  static struct buffer value;
  unsigned char *room = buffer_room(&value, 1024);
  ssize_t length;
  while ((length = lgetxattr(name, key, room, value.capacity)) < 0) {
    if (errno == ENODATA) return;
    if (errno != ERANGE) fail("read the attributes of");
    room = buffer_room(&value, value.capacity * 2);
  }
  buffer_add_u32(&output, strlen(key));
  buffer_add_u32(&output, length);
  buffer_add(&output, key, strlen(key));
  buffer_add(&output, value.bytes, length);
}

/* `name` is relative to the working directory; `path` is what is printed. */
static void print_record(const char *name, size_t path_length, const struct stat *stat) {
  static struct buffer names;
  struct record record = {
      .mode = stat->st_mode,
      .uid = stat->st_uid,
      .gid = stat->st_gid,
      .links = stat->st_nlink,
      .major = major(stat->st_rdev),
      .minor = minor(stat->st_rdev),
      .mtime_nanoseconds = stat->st_mtim.tv_nsec,
      .path_length = path_length,
      .device = stat->st_dev,
      .inode = stat->st_ino,
      .size = stat->st_size,
      .mtime_seconds = stat->st_mtim.tv_sec,
  };
  size_t start = output.length;
  buffer_add(&output, &record, sizeof record);
  buffer_add(&output, path, path_length);
  if (S_ISLNK(stat->st_mode)) {
    ssize_t length = readlink(name, (char *)buffer_room(&output, PATH_MAX), PATH_MAX);
    if (length < 0) fail("read the link");
    output.length += length;
    record.link_length = length;
  }
  size_t before_xattrs = output.length;
  ssize_t names_length = list_xattrs(name, &names);
  for (const char *key = (char *)names.bytes; key < (char *)names.bytes + names_length; key += strlen(key) + 1) {
    add_xattr(name, key);
  }
  record.xattrs_length = output.length - before_xattrs;
  memcpy(output.bytes + start, &record, sizeof record);
  if (output.length > 1 << 18 && buffer_flush(&output, STDOUT_FILENO) < 0) fail("write what is known of");
}

static int compare_items(const void *a, const void *b) {
  return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

static char *copy_name(const char *name, const char *suffix) {
  char *copy;
  if (asprintf(&copy, "%s%s", name, suffix) < 0) fail("remember the names in");
  return copy;
}

/* The sorted content of the working directory. */
static struct item *list_items(int fd, size_t *count) {
  int own = dup(fd);
  DIR *directory = own < 0 ? NULL : fdopendir(own);
  if (!directory) fail("read the directory");
  struct item *items = NULL;
  size_t capacity = 0;
  *count = 0;
  struct dirent *entry;
  while ((errno = 0, entry = readdir(directory))) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    if (*count + 2 > capacity) items = realloc(items, sizeof *items * (capacity = capacity * 2 + 64));
    if (!items) fail("remember the names in");
    struct item *item = &items[(*count)++];
    if (fstatat(fd, entry->d_name, &item->stat, AT_SYMLINK_NOFOLLOW) < 0) fail("look at what is in");
    item->name = copy_name(entry->d_name, "");
    if (!S_ISDIR(item->stat.st_mode)) continue;
    items[*count].stat = item->stat;
    items[(*count)++].name = copy_name(entry->d_name, "/");
  }
  if (errno) fail("read the directory");
  closedir(directory);
  if (*count) qsort(items, *count, sizeof *items, compare_items);
  return items;
}

static void remove_socket(int fd, const char *name, const struct stat *directory) {
  if (!is_clamping) return;
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, directory->st_mtim};
  if (unlinkat(fd, name, 0) < 0 || futimens(fd, times) < 0) fail("remove a socket in");
}

/* Prints what is inside; the working directory is `fd`'s before and after. */
static void walk(int fd, size_t path_length, const struct stat *directory) {
  size_t count;
  struct item *items = list_items(fd, &count);
  for (size_t i = 0; i < count; i++) {
    char *name = items[i].name;
    struct stat *stat = &items[i].stat;
    size_t name_length = strlen(name), length = path_length;
    int is_inside = name[name_length - 1] == '/';
    if (is_inside) name[--name_length] = 0;
    if (length) path[length++] = '/';
    if (length + name_length >= PATH_MAX) {
      errno = ENAMETOOLONG;
      fail("go on below");
    }
    memcpy(path + length, name, name_length + 1);
    length += name_length;
    if (is_inside) {
      int inner = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (inner < 0 || fchdir(inner) < 0) fail("open the directory");
      walk(inner, length, stat);
      close(inner);
      if (fchdir(fd) < 0) fail("return from the directory");
    } else if (S_ISSOCK(stat->st_mode)) {
      remove_socket(fd, name, directory);
    } else {
      clamp(name, stat);
      /* The copy for what is inside has to know the clamped time too, see remove_socket. */
      for (size_t j = i + 1; S_ISDIR(stat->st_mode) && j < count; j++) {
        if (items[j].stat.st_ino != stat->st_ino) continue;
        items[j].stat.st_mtim = stat->st_mtim;
        break;
      }
      print_record(name, length, stat);
    }
    path[path_length] = 0;
    free(name);
  }
  free(items);
}

static void decode_hex(char *to, size_t size, const char *hex) {
  size_t length = strlen(hex) / 2;
  if (length >= size) {
    errno = ENAMETOOLONG;
    fail("understand the name of");
  }
  for (size_t i = 0; i < length; i++) {
    unsigned byte;
    if (sscanf(hex + 2 * i, "%2x", &byte) != 1) fail("understand the name of");
    to[i] = (char)byte;
  }
  to[length] = 0;
}

/* Goes into the directories that `under` names, the last component, if it is no directory, excepted, and gives that. */
static const char *enter(int *fd, char *under) {
  for (char *rest = under, *name; (name = strsep(&rest, "/"));) {
    if (!*name) continue;
    struct stat stat;
    int is_found = fstatat(*fd, name, &stat, AT_SYMLINK_NOFOLLOW) == 0;
    if (is_found && !S_ISDIR(stat.st_mode) && !rest) return name;
    int inner = openat(*fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner < 0) {
      snprintf(path, sizeof path, "%s", name);
      fail("open the directory");
    }
    close(*fd);
    *fd = inner;
  }
  return ".";
}

/* Reads all names first: whoever writes them need not read records meanwhile. */
static void print_listed(void) {
  static struct buffer names;
  ssize_t length;
  while ((length = read(STDIN_FILENO, buffer_room(&names, 1 << 16), 1 << 16)) > 0) names.length += length;
  if (length < 0) fail("read the names of what is in");
  for (size_t at = 0; at < names.length; at += strnlen((char *)names.bytes + at, names.length - at) + 1) {
    const char *name = (char *)names.bytes + at;
    size_t name_length = strnlen(name, names.length - at);
    if (at + name_length == names.length || name_length >= sizeof path) {
      errno = ENAMETOOLONG;
      fail("understand the names of what is in");
    }
    memcpy(path, name, name_length + 1);
    struct stat stat;
    if (lstat(*name ? name : ".", &stat) == 0) print_record(*name ? name : ".", name_length, &stat);
    else if (errno != ENOENT && errno != ENOTDIR) fail("look at");
  }
}

static void allow_deep_trees(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

static void print_tree(int fd, const char *hex) {
  char under[PATH_MAX];
  decode_hex(under, sizeof under, hex);
  const char *name = enter(&fd, under);
  struct stat stat;
  if (fchdir(fd) < 0 || fstatat(fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0) fail("look at");
  print_record(name, 0, &stat);
  if (S_ISDIR(stat.st_mode)) walk(fd, 0, &stat);
}

int scan_main(int argc, char **argv) {
  const char *hex = "";
  int at = 1, is_listed = 0;
  for (; at < argc && argv[at][0] == '-'; at++) {
    if (!strcmp(argv[at], "--clamp") && at + 4 < argc) {
      is_clamping = 1;
      clamp_from = (struct timespec){.tv_sec = atoll(argv[at + 1]), .tv_nsec = atol(argv[at + 2])};
      clamp_to = (struct timespec){.tv_sec = atoll(argv[at + 3]), .tv_nsec = atol(argv[at + 4])};
      at += 4;
    } else if (!strcmp(argv[at], "--under") && at + 1 < argc) {
      hex = argv[++at];
    } else if (!strcmp(argv[at], "--listed")) {
      is_listed = 1;
    } else {
      break;
    }
  }
  if (at != argc - 1) {
    fprintf(stderr, "usage: scan [--clamp FROM_S FROM_NS TO_S TO_NS] [--under HEX] | --listed DIRECTORY\n");
    return 2;
  }
  allow_deep_trees();
  int fd = open(argv[at], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    snprintf(path, sizeof path, "%s", argv[at]);
    fail("open the directory");
  }
  if (is_listed) {
    if (fchdir(fd) < 0) fail("look at");
    print_listed();
  } else {
    print_tree(fd, hex);
  }
  buffer_add(&output, &(struct record){0}, sizeof(struct record));
  if (buffer_flush(&output, STDOUT_FILENO) < 0) fail("write what is known of");
  return 0;
}
