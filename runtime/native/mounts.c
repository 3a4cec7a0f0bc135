#define _GNU_SOURCE
#include "mounts.h"
#include "kernel.h"
#include "mountpoint.h"
#include "overlay.h"
#include "report.h"

#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Not one of the kernel's: the mount is left out where its file system is unknown. */
#define MOUNT_OPTIONAL (1UL << 40)

static const struct {
  const char *name;
  unsigned long attribute;
} mount_flags[] = {
    {"optional", MOUNT_OPTIONAL},
    {"ro", MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC},
};

/* Calls `visit` with each part of a list that is separated by commas. */
static void for_each_part(const char *list, void (*visit)(const char *part, void *state), void *state) {
  char *copy = strdup(list), *rest = NULL;
  if (copy == NULL) fail("allocate memory", "");
  for (char *part = strtok_r(copy, ",", &rest); part != NULL; part = strtok_r(NULL, ",", &rest)) visit(part, state);
  free(copy);
}

static void add_flag(const char *name, void *state) {
  for (size_t i = 0; i < sizeof mount_flags / sizeof *mount_flags; i++) {
    if (strcmp(mount_flags[i].name, name) != 0) continue;
    *(unsigned long *)state |= mount_flags[i].attribute;
    return;
  }
  fail_because("read the list of operations", name, "there is no such mount flag");
}

static unsigned long parse_flags(const char *list) {
  unsigned long attributes = 0;
  for_each_part(list, add_flag, &attributes);
  return attributes;
}

struct filesystem {
  int context;
  int with_optional; /* whether options marked by "?" are wanted */
  int has_optional;
  int error;
};

static void set_mount_option(const char *option, void *state) {
  struct filesystem *filesystem = state;
  int is_optional = option[0] == '?';
  if (is_optional) filesystem->has_optional = 1;
  if (filesystem->error != 0 || (is_optional && !filesystem->with_optional)) return;
  char key[128];
  snprintf(key, sizeof key, "%s", option + is_optional);
  char *value = strchr(key, '=');
  if (value != NULL) *value++ = '\0';
  unsigned command = value == NULL ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
  if (sys_fsconfig(filesystem->context, command, key, value) < 0) filesystem->error = errno;
}

/* A detached mount of a new file system; -1 with errno. */
static int new_filesystem(const char *type, unsigned long attributes, const char *options) {
  for (int with_optional = 1;; with_optional = 0) {
    struct filesystem filesystem = {.context = sys_fsopen(type), .with_optional = with_optional};
    if (filesystem.context < 0) return -1;
    sys_fsconfig(filesystem.context, FSCONFIG_SET_STRING, "source", type);
    for_each_part(options, set_mount_option, &filesystem);
    int mount = -1;
    if (filesystem.error == 0 && sys_fsconfig(filesystem.context, FSCONFIG_CMD_CREATE, NULL, NULL) < 0) {
      filesystem.error = errno;
    }
    if (filesystem.error == 0 && (mount = sys_fsmount(filesystem.context, (unsigned)attributes)) < 0) {
      filesystem.error = errno;
    }
    close(filesystem.context);
    errno = filesystem.error;
    if (mount >= 0 || errno != EINVAL || !with_optional || !filesystem.has_optional) return mount;
  }
}

static void attach(int root, int mount, const char *destination, const char *operation) {
  struct stat status;
  if (fstat(mount, &status) < 0) fail(operation, destination);
  int onto = open_mountpoint(root, destination, S_ISDIR(status.st_mode));
  if (sys_move_mount(mount, onto) < 0) fail(operation, destination);
  close(onto);
  remember_mount(mount);
}

static void do_mount(int root, const struct operation *operation) {
  const char *type = operation->field[0], *destination = operation->field[1];
  unsigned long attributes = parse_flags(operation->field[2]);
  int mount = new_filesystem(type, attributes & ~MOUNT_OPTIONAL, operation->field[3]);
  if (mount < 0 && errno == ENODEV && attributes & MOUNT_OPTIONAL) return;
  if (mount < 0) fail("mount", destination);
  forget_mountpoints_on(mount);
  attach(root, mount, destination, "mount");
}

static int clone_tree(const char *source) {
  return sys_open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | AT_RECURSIVE);
}

static void do_bind(int root, const struct operation *operation) {
  const char *source = operation->field[0];
  int tree = clone_tree(source);
  if (tree < 0) fail("bind", source);
  unsigned long attributes = parse_flags(operation->field[2]);
  if (attributes != 0 && sys_mount_setattr(tree, AT_RECURSIVE, attributes) < 0) fail("bind", source);
  attach(root, tree, operation->field[1], "bind");
}

/*
 * sysfs shows the network of the namespace it was mounted from, and a user namespace may mount it only with a network
 * of its own, and only where an unmasked one is in sight. Otherwise the host's is bound. Either way it is read-only.
 */
static void do_sysfs(int root, const struct operation *operation) {
  unsigned long attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  int mount = -1;
  if (strcmp(operation->field[0], "own") == 0) mount = new_filesystem("sysfs", attributes, "");
  if (mount < 0) {
    mount = clone_tree("/sys");
    if (mount < 0 || sys_mount_setattr(mount, AT_RECURSIVE, attributes) < 0) fail("mount", "/sys");
  }
  attach(root, mount, "/sys", "mount");
}

static void do_symlink(int root, const struct operation *operation) {
  char folder[PATH_MAX];
  const char *name = strrchr(operation->field[1], '/') + 1;
  snprintf(folder, sizeof folder, "%.*s", (int)(name - operation->field[1]), operation->field[1]);
  int parent = sys_open_in_root(root, folder, O_PATH | O_DIRECTORY);
  if (parent < 0 || symlinkat(operation->field[0], parent, name) < 0) fail("make a symbolic link", operation->field[1]);
  close(parent);
}

/* Covers a file by /dev/null and a folder by an empty one. What is not there needs no mask. */
static void do_mask(int root, const char *path) {
  int onto = sys_open_in_root(root, path, O_PATH);
  if (onto < 0) return;
  struct stat status;
  if (fstat(onto, &status) < 0) fail("mask", path);
  unsigned long attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  int cover;
  if (S_ISDIR(status.st_mode)) {
    cover = new_filesystem("tmpfs", attributes, "size=0k,nr_inodes=2,mode=755");
  } else {
    /* It is the host's own node: read-only keeps its mode and owner from being changed; it can be opened all the same. */
    cover = sys_open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE);
    if (cover >= 0 && sys_mount_setattr(cover, 0, attributes & ~(unsigned long)MOUNT_ATTR_NODEV) < 0) fail("mask", path);
  }
  if (cover < 0 || sys_move_mount(cover, onto) < 0) fail("mask", path);
  close(cover);
  close(onto);
}

static void do_read_only(int root, const char *path) {
  int onto = sys_open_in_root(root, path, O_PATH);
  if (onto < 0) return;
  int tree = sys_open_tree(onto, "", OPEN_TREE_CLONE | AT_EMPTY_PATH | AT_RECURSIVE);
  if (tree < 0) fail("make read-only", path);
  unsigned long attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  if (sys_mount_setattr(tree, AT_RECURSIVE, attributes) < 0) fail("make read-only", path);
  if (sys_move_mount(tree, onto) < 0) fail("make read-only", path);
  close(tree);
  close(onto);
}

/* The host's file system ends up below the new root and is taken away from there. pivot_root(2), "." twice. */
static void do_pivot(int root) {
  if (fchdir(root) < 0) fail("enter", "the new root");
  if (syscall(SYS_pivot_root, ".", ".") < 0) fail("pivot_root", "");
  if (sys_umount(".", MNT_DETACH) < 0) fail("unmount", "the host's file system");
  if (chdir("/") < 0) fail("enter", "/");
}

static void do_loopback(void) {
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
  int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (control < 0 || ioctl(control, SIOCSIFFLAGS, &request) < 0) fail("start the loopback interface", "lo");
  close(control);
}

/* Onto a folder of the host's file system, as this sandbox alone sees it: pivot_root takes it out of sight. */
static void do_memory(const char *place) {
  unsigned long attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  int mount = new_filesystem("ramfs", attributes, "mode=700");
  int onto = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (mount < 0 || onto < 0 || sys_move_mount(mount, onto) < 0) fail("mount a file system in memory", place);
  close(onto);
  close(mount);
}

static int hex_digit(char digit, const char *subject) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  fail_because("read the list of operations", subject, "its content is not hexadecimal");
}

static void write_hex(int fd, const char *hex, const char *subject) {
  char bytes[4096];
  while (*hex != '\0') {
    size_t count = 0;
    for (; count < sizeof bytes && hex[0] != '\0'; hex += 2) {
      bytes[count++] = (char)(hex_digit(hex[0], subject) << 4 | hex_digit(hex[1], subject));
    }
    for (size_t done = 0; done < count;) {
      ssize_t written = write(fd, bytes + done, count - done);
      if (written < 0) fail("write a file", subject);
      done += (size_t)written;
    }
  }
}

static void do_file(const struct operation *operation) {
  const char *path = operation->field[0];
  char *colon;
  uid_t uid = (uid_t)strtoul(operation->field[2], &colon, 10);
  gid_t gid = (gid_t)strtoul(*colon == ':' ? colon + 1 : "0", NULL, 10);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) fail("write a file", path);
  write_hex(fd, operation->field[3], path);
  if (fchown(fd, uid, gid) < 0) fail("give a file its owner", path);
  if (fchmod(fd, (mode_t)strtoul(operation->field[1], NULL, 8)) < 0) fail("give a file its mode", path);
  close(fd);
}

/* "0" is the process that writes. cgroups(7) */
static void join_cgroup(const char *file) {
  int processes = open(file, O_WRONLY | O_CLOEXEC);
  if (processes < 0 || write(processes, "0", 1) != 1) fail("join the cgroup", file);
  close(processes);
}

static int open_root(const struct spec *spec, const char *place) {
  mount_overlay(spec, place);
  int root = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) fail("open", place);
  return root;
}

static void make_root_read_only(int root) {
  if (sys_mount_setattr(root, 0, MOUNT_ATTR_RDONLY) < 0) fail("make read-only", "/");
}

void set_up_sandbox(const struct spec *spec) {
  if (sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) fail("make mounts private", "/");
  int root = -1;
  size_t overlay_start = 0;
  for (size_t i = 0; i < spec->count; i++) {
    const struct operation *operation = &spec->operations[i];
    const char *first = operation->field[0];
    switch (operation->kind) {
      case OP_CGROUP: join_cgroup(first); break;
      case OP_CGROUP_NAMESPACE: unshare(CLONE_NEWCGROUP); break; /* not every kernel has them */
      case OP_ROOT: root = open_root(&(struct spec){spec->operations + overlay_start, i - overlay_start}, first); break;
      case OP_OVERLAY: mount_overlay(&(struct spec){spec->operations + overlay_start, i - overlay_start}, first); break;
      case OP_MEMORY: do_memory(first); break;
      case OP_FILE: do_file(operation); break;
      case OP_MOUNT: do_mount(root, operation); break;
      case OP_SYSFS: do_sysfs(root, operation); break;
      case OP_BIND: do_bind(root, operation); break;
      case OP_SYMLINK: do_symlink(root, operation); break;
      case OP_MASK: do_mask(root, first); break;
      case OP_READ_ONLY: do_read_only(root, first); break;
      case OP_READ_ONLY_ROOT: make_root_read_only(root); break;
      case OP_PIVOT: do_pivot(root); break;
      case OP_LOOPBACK: do_loopback(); break;
      case OP_HOSTNAME:
        if (sethostname(first, strlen(first)) < 0) fail("set the host name", first);
        break;
      default: break; /* for the outer process, or for the payload's */
    }
    if (operation->kind == OP_ROOT || operation->kind == OP_OVERLAY) overlay_start = i + 1;
  }
  if (root >= 0) close(root);
}
