#define _GNU_SOURCE
#include "spec.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_SPEC_BYTES (16UL << 20)

static const struct {
  const char *name;
  enum operation_kind kind;
  int fields;
} known[] = {
    {"parent", OP_PARENT, 1},
    {"namespace", OP_NAMESPACE, 1},
    {"terminal", OP_TERMINAL, 0},
    {"network-arg", OP_NETWORK_ARG, 1},
    {"cgroup", OP_CGROUP, 1},
    {"cgroup-namespace", OP_CGROUP_NAMESPACE, 0},
    {"layer", OP_LAYER, 1},
    {"upper", OP_UPPER, 2},
    {"overlay-option", OP_OVERLAY_OPTION, 3},
    {"old-mount-api", OP_OLD_MOUNT_API, 0},
    {"root", OP_ROOT, 1},
    {"overlay", OP_OVERLAY, 1},
    {"memory", OP_MEMORY, 1},
    {"file", OP_FILE, 4},
    {"mount", OP_MOUNT, 4},
    {"sysfs", OP_SYSFS, 1},
    {"bind", OP_BIND, 3},
    {"symlink", OP_SYMLINK, 2},
    {"mask", OP_MASK, 1},
    {"read-only", OP_READ_ONLY, 1},
    {"read-only-root", OP_READ_ONLY_ROOT, 0},
    {"pivot", OP_PIVOT, 0},
    {"hostname", OP_HOSTNAME, 1},
    {"loopback", OP_LOOPBACK, 0},
    {"rlimit", OP_RLIMIT, 3},
    {"capabilities", OP_CAPABILITIES, 1},
    {"seccomp", OP_SECCOMP, 1},
    {"user", OP_USER, 2},
    {"group", OP_GROUP, 1},
    {"cwd", OP_CWD, 1},
    {"env", OP_ENV, 1},
    {"arg", OP_ARG, 1},
};

static void read_fully(int fd, char *bytes, size_t length) {
  for (size_t have = 0; have < length;) {
    ssize_t count = read(fd, bytes + have, length - have);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("read the list of operations", "");
    if (count == 0) fail_because("read the list of operations", "", "it ends too early");
    have += (size_t)count;
  }
}

static size_t read_length(int fd) {
  char digits[16] = "";
  for (size_t i = 0; i < sizeof digits; i++) {
    read_fully(fd, digits + i, 1);
    if (digits[i] != '\0') continue;
    char *end;
    size_t length = strtoul(digits, &end, 10);
    if (end == digits || *end != '\0' || length > MAX_SPEC_BYTES) break;
    return length;
  }
  fail_because("read the list of operations", "", "it does not begin with its length");
}

static const char *next_token(const char **position, const char *end) {
  const char *token = *position;
  const char *nul = memchr(token, '\0', (size_t)(end - token));
  if (nul == NULL) fail_because("read the list of operations", "", "a field is cut off");
  *position = nul + 1;
  return token;
}

static struct operation next_operation(const char **position, const char *end) {
  const char *name = next_token(position, end);
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strcmp(known[i].name, name) != 0) continue;
    struct operation operation = {.kind = known[i].kind};
    for (int f = 0; f < known[i].fields; f++) operation.field[f] = next_token(position, end);
    return operation;
  }
  fail_because("read the list of operations", name, "there is no such operation");
}

struct spec read_spec(int fd) {
  size_t length = read_length(fd);
  char *bytes = allocate(length + 1, 1);
  read_fully(fd, bytes, length);
  /* An operation is two bytes at least: a name and its NUL. */
  struct spec spec = {.operations = allocate(length / 2 + 1, sizeof(struct operation))};
  for (const char *position = bytes, *end = bytes + length; position < end;) {
    spec.operations[spec.count++] = next_operation(&position, end);
  }
  return spec;
}

const struct operation *find_operation(const struct spec *spec, enum operation_kind kind) {
  for (size_t i = 0; i < spec->count; i++) {
    if (spec->operations[i].kind == kind) return &spec->operations[i];
  }
  return NULL;
}

char **list_fields(const struct spec *spec, enum operation_kind kind) {
  char **list = allocate(spec->count + 1, sizeof *list);
  size_t count = 0;
  for (size_t i = 0; i < spec->count; i++) {
    if (spec->operations[i].kind == kind) list[count++] = (char *)spec->operations[i].field[0];
  }
  return list;
}

void *allocate(size_t count, size_t size) {
  void *memory = calloc(count, size);
  if (memory == NULL) fail("allocate memory", "");
  return memory;
}
