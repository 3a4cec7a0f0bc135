/* The flat list of operations that a sandbox is made of. runtime/sandbox/operations.ts writes it. */
#ifndef KILN_SPEC_H
#define KILN_SPEC_H

#include <stddef.h>

enum operation_kind {
  /* Read by the outer process. */
  OP_PARENT,    /* pid of the process whose death ends everything */
  OP_NAMESPACE, /* name */
  OP_TERMINAL,
  OP_NETWORK_ARG, /* argument of the program that connects the sandbox's network, its file first */
  /* Done in this order by the first process inside. */
  OP_CGROUP,         /* file that takes the processes of a cgroup */
  OP_CGROUP_NAMESPACE,
  OP_LAYER,          /* directory; lowest first */
  OP_UPPER,          /* directory, work directory */
  OP_OVERLAY_OPTION, /* key, value (may be empty), "required" or "optional" */
  OP_OLD_MOUNT_API,  /* use mount(2) for the overlay even where the kernel has better */
  OP_ROOT,           /* directory to assemble the root file system on */
  OP_OVERLAY,        /* directory: an overlay of the layers since the one before is mounted there, for OP_BIND */
  OP_MEMORY,         /* directory: a file system that lies in memory only, never on a swap device */
  OP_FILE,           /* path, mode (octal), uid:gid, content as hexadecimal bytes */
  OP_MOUNT,          /* type, destination, flags, options */
  OP_SYSFS,          /* "own" or "host" */
  OP_BIND,           /* source, destination, flags */
  OP_SYMLINK,        /* text, destination */
  OP_MASK,           /* path */
  OP_READ_ONLY,      /* path */
  OP_READ_ONLY_ROOT,
  OP_PIVOT,
  OP_HOSTNAME, /* name */
  OP_LOOPBACK,
  /* Done by the payload's process before it becomes the payload. */
  OP_RLIMIT,       /* number of the resource, soft limit, hard limit; a number or "keep" */
  OP_CAPABILITIES, /* set, as a hexadecimal number */
  OP_SECCOMP,      /* program, as hexadecimal bytes */
  OP_USER,         /* uid, gid */
  OP_GROUP,        /* additional gid */
  OP_CWD,          /* directory */
  OP_ENV,          /* NAME=value */
  OP_ARG,          /* argument */
};

#define MAX_FIELDS 4

struct operation {
  enum operation_kind kind;
  const char *field[MAX_FIELDS];
};

struct spec {
  struct operation *operations;
  size_t count;
};

/*
 * Reads a list from fd: its length in bytes as a decimal number and NUL, then that many bytes, in which each
 * operation is its name and its fields, each ended by NUL. What follows on fd is left unread.
 */
struct spec read_spec(int fd);

/* The first operation of a kind; NULL when there is none. */
const struct operation *find_operation(const struct spec *spec, enum operation_kind kind);

/* The fields numbered 0 of all operations of a kind, ended by NULL: what execve wants. */
char **list_fields(const struct spec *spec, enum operation_kind kind);

/* Memory that lives as long as the process. */
void *allocate(size_t count, size_t size);

#endif
