#define _GNU_SOURCE
#include "mountpoint.h"
#include "kernel.h"
#include "report.h"
#include "spec.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Something that was made: `name` in the folder `parent`; and how the folder's time was before and after. */
struct made {
  int parent;
  char *name;
  bool is_folder;
  struct timespec parent_time_before;
  struct timespec parent_time_after;
  struct made *next;
};

struct mounted {
  int fd;
  struct mounted *next;
};

/* The youngest is first, so that a walk undoes in reverse. */
static struct made *made_list;
static struct mounted *mounted_list;
static bool made_since_last_mount;

#define MAX_TRANSIENT 64
static dev_t transient[MAX_TRANSIENT];
static size_t transient_count;

static bool is_transient(dev_t device) {
  for (size_t i = 0; i < transient_count; i++) {
    if (transient[i] == device) return true;
  }
  return false;
}

void forget_mountpoints_on(int fd) {
  struct stat status;
  if (transient_count < MAX_TRANSIENT && fstat(fd, &status) == 0) transient[transient_count++] = status.st_dev;
}

static void make(int parent, const char *name, bool is_folder, const char *path) {
  struct stat before, after;
  if (fstat(parent, &before) < 0) fail("make a mount point", path);
  int status = is_folder ? mkdirat(parent, name, 0755) : mknodat(parent, name, S_IFREG | 0644, 0);
  if (status < 0) fail("make a mount point", path);
  if (is_transient(before.st_dev)) return;
  if (fstat(parent, &after) < 0) fail("make a mount point", path);
  struct made *made = allocate(1, sizeof *made);
  *made = (struct made){
      .parent = fcntl(parent, F_DUPFD_CLOEXEC, 0),
      .name = strdup(name),
      .is_folder = is_folder,
      .parent_time_before = before.st_mtim,
      .parent_time_after = after.st_mtim,
      .next = made_list,
  };
  if (made->parent < 0 || made->name == NULL) fail("make a mount point", path);
  made_list = made;
  made_since_last_mount = true;
}

/*
 * Where a dangling symbolic link leads, so that it can be made there: `path` with its last part replaced by the
 * link's text. Gives false when the last part is not such a link.
 */
static bool follow_dangling(int root, const char *path, char followed[PATH_MAX]) {
  char text[PATH_MAX];
  const char *slash = strrchr(path, '/');
  int folder_length = slash == NULL ? 0 : (int)(slash - path);
  snprintf(followed, PATH_MAX, "%.*s/", folder_length, path);
  int parent = sys_open_in_root(root, followed, O_PATH | O_DIRECTORY);
  if (parent < 0) return false;
  ssize_t length = readlinkat(parent, slash == NULL ? path : slash + 1, text, sizeof text - 1);
  close(parent);
  if (length < 0) return false;
  text[length] = '\0';
  int needed = text[0] == '/' ? snprintf(followed, PATH_MAX, "%s", text)
                              : snprintf(followed, PATH_MAX, "%.*s/%s", folder_length, path, text);
  return needed < PATH_MAX;
}

static int open_or_make(int root, const char *path, bool is_folder, int links_left, const char *whole) {
  int fd = sys_open_in_root(root, path, O_PATH);
  if (fd >= 0) return fd;
  if (errno != ENOENT) fail("open a mount point", whole);

  char followed[PATH_MAX];
  if (follow_dangling(root, path, followed)) {
    if (links_left == 0) fail_because("make a mount point", whole, "too many symbolic links");
    return open_or_make(root, followed, is_folder, links_left - 1, whole);
  }
  const char *slash = strrchr(path, '/');
  const char *name = slash == NULL ? path : slash + 1;
  if (strcmp(name, "..") == 0) fail_because("make a mount point", whole, "the path leads through nothing");
  char folder[PATH_MAX];
  snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 0 : (int)(slash - path), path);
  int parent = folder[0] == '\0' ? sys_open_in_root(root, "/", O_PATH | O_DIRECTORY)
                                 : open_or_make(root, folder, true, links_left, whole);
  if (parent < 0) fail("open a mount point", whole);
  if (name[0] == '\0' || strcmp(name, ".") == 0) return parent;
  make(parent, name, is_folder, whole);
  int made = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (made < 0) fail("open a mount point", whole);
  close(parent);
  return made;
}

int open_mountpoint(int root, const char *path, bool is_folder) {
  if (strlen(path) >= PATH_MAX) fail_because("open a mount point", path, "the path is too long");
  made_since_last_mount = false;
  return open_or_make(root, path, is_folder, 40, path);
}

void remember_mount(int mount) {
  if (!made_since_last_mount) {
    close(mount);
    return;
  }
  struct mounted *mounted = allocate(1, sizeof *mounted);
  *mounted = (struct mounted){.fd = mount, .next = mounted_list};
  mounted_list = mounted;
}

static bool same_time(struct timespec a, struct timespec b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

static void remove_made(const struct made *made) {
  struct stat status;
  if (fstat(made->parent, &status) < 0) return;
  if (unlinkat(made->parent, made->name, made->is_folder ? AT_REMOVEDIR : 0) < 0) return;
  /* The folder's time tells of the payload's own changes, if there were any; else it is as if nothing had been. */
  if (!same_time(status.st_mtim, made->parent_time_after)) return;
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", made->parent);
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, made->parent_time_before};
  utimensat(AT_FDCWD, path, times, 0);
}

void remove_made_mountpoints(void) {
  for (const struct mounted *mounted = mounted_list; mounted != NULL; mounted = mounted->next) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", mounted->fd);
    sys_umount(path, MNT_DETACH);
  }
  for (const struct made *made = made_list; made != NULL; made = made->next) remove_made(made);
}
