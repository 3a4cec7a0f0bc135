#define _GNU_SOURCE
#include "layer-tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

struct remembered {
  char *path;
  struct timespec mtime;
  size_t order;
  int is_implicit;
};

const char *opaque_xattr = "trusted.overlay.opaque";

static int root = -1, descriptors = -1;
static size_t root_length;
static struct remembered *remembered;
static size_t remembered_count, remembered_capacity;
/* The parent that was asked for last: neighbours in a layer mostly share it. */
static char cached_path[PATH_MAX];
static int cached = -1;

/* The real path of an open directory, within the root and without a leading slash. */
static const char *real_path(int directory) {
  static char path[PATH_MAX];
  char number[16];
  snprintf(number, sizeof number, "%d", directory);
  ssize_t length = readlinkat(descriptors, number, path, sizeof path - 1);
  if (length < 0) fail_apply("resolve");
  if (length == sizeof path - 1) {
    errno = ENAMETOOLONG;
    fail_apply("resolve");
  }
  path[length] = 0;
  const char *inside = path + root_length;
  return *inside == '/' ? inside + 1 : inside;
}

void tree_open(const char *directory) {
  descriptors = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
  root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptors < 0 || root < 0 || fchdir(root) < 0) fail_apply("open");
  /* openat2 below keeps inside by itself; this is the second wall. Without privileges there is only one. */
  if (chroot(".") < 0 && errno != EPERM) fail_apply("enter");
  root_length = strlen(real_path(root));
  if (root_length) root_length++;
  tree_remember_times(root, (struct timespec){.tv_sec = 1});
  remembered[0].is_implicit = 1;
}

int tree_root(void) { return root; }

int is_whiteout(const struct stat *stat) { return S_ISCHR(stat->st_mode) && stat->st_rdev == 0; }

static int open_inside(const char *path, uint64_t resolve) {
  struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = resolve | RESOLVE_NO_MAGICLINKS};
  return (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);
}

static void make_opaque(int directory) {
  if (fsetxattr(directory, opaque_xattr, "y", 1, 0) < 0) fail_apply("mark as opaque");
}

static void forget_cached(void) {
  if (cached >= 0) close(cached);
  cached = -1;
}

static void append(char *path, const char *more, size_t length) {
  size_t used = strlen(path);
  if (used + length + 2 > PATH_MAX) {
    errno = ENAMETOOLONG;
    fail_apply("resolve");
  }
  if (used) path[used++] = '/';
  memcpy(path + used, more, length);
  path[used + length] = 0;
}

static void make_directories(const char *path, int links_left);

/* Makes what a symbolic link at `path` points at: the layers below have that directory, this one not yet. */
static void make_target(int parent, const char *name, const char *parent_path, int links_left) {
  char target[PATH_MAX] = "", joined[PATH_MAX] = "";
  ssize_t length = readlinkat(parent, name, target, sizeof target - 1);
  if (length < 0 || links_left == 0) {
    if (length >= 0) errno = ELOOP;
    fail_apply("resolve");
  }
  if (*target != '/') append(joined, parent_path, strlen(parent_path));
  append(joined, target, (size_t)length);
  make_directories(joined, links_left - 1);
}

static void make_missing(const char *parent_path, const char *name, int links_left) {
  int parent = open_inside(parent_path, RESOLVE_IN_ROOT);
  struct stat stat;
  if (parent < 0) fail_apply("resolve");
  int is_there = fstatat(parent, name, &stat, AT_SYMLINK_NOFOLLOW) == 0;
  if (is_there && S_ISLNK(stat.st_mode)) {
    make_target(parent, name, parent_path, links_left);
  } else if (is_there && !is_whiteout(&stat)) {
    errno = ENOTDIR;
    fail_apply("resolve");
  } else {
    int made = tree_directory(parent, name);
    if (fchown(made, 0, 0) < 0 || fchmod(made, 0755) < 0) fail_apply("chown");
    tree_remember_times(made, (struct timespec){.tv_sec = 1});
    remembered[remembered_count - 1].is_implicit = 1;
    close(made);
  }
  close(parent);
}

static void make_directories(const char *path, int links_left) {
  char done[PATH_MAX] = "";
  for (const char *rest = path + strspn(path, "/"); *rest; rest += strspn(rest, "/")) {
    char name[PATH_MAX], parent_path[PATH_MAX];
    size_t length = strcspn(rest, "/");
    snprintf(name, sizeof name, "%.*s", (int)length, rest);
    strcpy(parent_path, done);
    append(done, name, length);
    int fd = open_inside(done, RESOLVE_IN_ROOT);
    if (fd >= 0) close(fd);
    else if (errno == ENOENT || errno == ENOTDIR) make_missing(parent_path, name, links_left);
    else fail_apply("resolve");
    rest += length;
  }
}

int tree_parent(const char *path, const char **name) {
  const char *slash = strrchr(path, '/');
  char parent_path[PATH_MAX] = "";
  if (slash) append(parent_path, path, (size_t)(slash - path));
  *name = slash ? slash + 1 : path;
  if (cached >= 0 && strcmp(cached_path, parent_path) == 0) return cached;
  forget_cached();
  cached = open_inside(parent_path, RESOLVE_IN_ROOT);
  if (cached < 0) {
    make_directories(parent_path, 40);
    cached = open_inside(parent_path, RESOLVE_IN_ROOT);
  }
  if (cached < 0) fail_apply("resolve");
  strcpy(cached_path, parent_path);
  return cached;
}

static void remove_all(int parent, const char *name) {
  if (unlinkat(parent, name, 0) == 0) return;
  if (errno != EISDIR) fail_apply("replace");
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *directory = fd < 0 ? NULL : fdopendir(fd);
  if (!directory) fail_apply("replace");
  struct dirent *entry;
  while ((entry = readdir(directory))) {
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) remove_all(fd, entry->d_name);
  }
  closedir(directory);
  if (unlinkat(parent, name, AT_REMOVEDIR) < 0) fail_apply("replace");
}

void tree_remove(int parent, const char *name) {
  struct stat stat;
  if (fstatat(parent, name, &stat, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno == ENOENT) return;
    fail_apply("replace");
  }
  remove_all(parent, name);
  /* A path may lead elsewhere now. When the caller is using the cached parent, only its name is forgotten. */
  if (cached == parent) strcpy(cached_path, "/");
  else forget_cached();
}

int tree_directory(int parent, const char *name) {
  struct stat stat;
  int is_there = fstatat(parent, name, &stat, AT_SYMLINK_NOFOLLOW) == 0;
  int replaces = is_there && !S_ISDIR(stat.st_mode);
  if (replaces) tree_remove(parent, name);
  if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST) fail_apply("create");
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) fail_apply("open");
  /* What was there before hid the layers below, and what comes in its place still does. */
  if (replaces) make_opaque(fd);
  return fd;
}

void tree_remember_times(int directory, struct timespec mtime) {
  if (remembered_count == remembered_capacity) {
    remembered_capacity = remembered_capacity * 2 + 256;
    remembered = realloc(remembered, sizeof *remembered * remembered_capacity);
  }
  char *path = remembered ? strdup(real_path(directory)) : NULL;
  if (!path) fail_apply("remember");
  remembered[remembered_count] = (struct remembered){.path = path, .mtime = mtime, .order = remembered_count};
  remembered_count++;
}

static int compare_remembered(const void *a, const void *b) {
  const struct remembered *left = a, *right = b;
  int order = strcmp(left->path, right->path);
  return order ? order : (left->order > right->order) - (left->order < right->order);
}

void tree_finish(void) {
  qsort(remembered, remembered_count, sizeof *remembered, compare_remembered);
  for (size_t i = 0; i < remembered_count; i++) {
    const struct remembered *last = &remembered[i];
    if (i + 1 < remembered_count && strcmp(last->path, last[1].path) == 0) continue;
    int fd = open_inside(last->path, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (fd < 0) continue; /* Replaced by something else since. */
    current_path = last->path;
    char value[2];
    if (fgetxattr(fd, opaque_xattr, value, sizeof value) == 1) report('O', 0, last->path);
    if (last->is_implicit) report('I', 0, last->path);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, last->mtime};
    if (futimens(fd, times) < 0) fail_apply("set the time of");
    close(fd);
  }
}
