/*
 * System calls that not every C library has a name for. <sys/mount.h> is avoided: it and <linux/mount.h> contradict
 * each other in glibc 2.36.
 */
#ifndef KILN_KERNEL_H
#define KILN_KERNEL_H

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif

static inline int sys_mount(const char *source, const char *target, const char *type, unsigned long flags,
                            const void *data) {
  return (int)syscall(SYS_mount, source, target, type, flags, data);
}

static inline int sys_umount(const char *target, int flags) { return (int)syscall(SYS_umount2, target, flags); }

static inline int sys_fsopen(const char *type) { return (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC); }

static inline int sys_fsconfig(int fd, unsigned command, const char *key, const char *value) {
  return (int)syscall(SYS_fsconfig, fd, command, key, value, 0);
}

static inline int sys_fsmount(int fd, unsigned attributes) {
  return (int)syscall(SYS_fsmount, fd, FSMOUNT_CLOEXEC, attributes);
}

/* Attaches the mount `from` onto the directory or file `onto`. */
static inline int sys_move_mount(int from, int onto) {
  return (int)syscall(SYS_move_mount, from, "", onto, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static inline int sys_open_tree(int dirfd, const char *path, unsigned flags) {
  return (int)syscall(SYS_open_tree, dirfd, path, flags | OPEN_TREE_CLOEXEC);
}

static inline int sys_mount_setattr(int fd, unsigned flags, unsigned long attributes) {
  struct mount_attr change = {.attr_set = attributes};
  return (int)syscall(SYS_mount_setattr, fd, "", flags | AT_EMPTY_PATH, &change, sizeof change);
}

/* Opens a path as a process whose root is `root` would; links into /proc that jump elsewhere are refused. */
static inline int sys_open_in_root(int root, const char *path, unsigned long flags) {
  struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

#endif
