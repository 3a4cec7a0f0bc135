#define _GNU_SOURCE
#include "privileges.h"
#include "report.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static rlim_t limit_of(const char *text, rlim_t kept) {
  if (strcmp(text, "keep") == 0) return kept;
  if (strcmp(text, "unlimited") == 0) return RLIM_INFINITY;
  return strtoull(text, NULL, 10);
}

void set_limits(const struct spec *spec) {
  for (size_t i = 0; i < spec->count; i++) {
    const struct operation *operation = &spec->operations[i];
    if (operation->kind != OP_RLIMIT) continue;
    int resource = atoi(operation->field[0]);
    struct rlimit limit;
    if (getrlimit(resource, &limit) < 0) fail("set a resource limit", operation->field[0]);
    limit.rlim_max = limit_of(operation->field[2], limit.rlim_max);
    limit.rlim_cur = limit_of(operation->field[1], limit.rlim_cur);
    if (limit.rlim_cur > limit.rlim_max) limit.rlim_cur = limit.rlim_max;
    if (setrlimit(resource, &limit) < 0) fail("set a resource limit", operation->field[0]);
  }
}

static void set_capabilities(uint64_t set) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  uint32_t low = (uint32_t)set, high = (uint32_t)(set >> 32);
  /* None is inheritable: CVE-2022-24769. */
  struct __user_cap_data_struct data[2] = {{.effective = low, .permitted = low}, {.effective = high, .permitted = high}};
  if (syscall(SYS_capset, &header, data) < 0) fail("set capabilities", "");
}

/* Those that the caller has of `set`: asking for others is refused. */
static uint64_t owned_capabilities(uint64_t set) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) < 0) fail("read capabilities", "");
  return set & (data[0].permitted | (uint64_t)data[1].permitted << 32);
}

static void drop_from_bounding_set(uint64_t kept) {
  for (int capability = 0; capability < 64; capability++) {
    if (kept >> capability & 1) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    if (errno == EINVAL) return; /* past the last one of this kernel */
    fail("drop a capability", "");
  }
}

static void set_groups(const struct spec *spec) {
  gid_t *groups = allocate(spec->count + 1, sizeof *groups);
  size_t count = 0;
  for (size_t i = 0; i < spec->count; i++) {
    if (spec->operations[i].kind == OP_GROUP) groups[count++] = (gid_t)strtoul(spec->operations[i].field[0], NULL, 10);
  }
  if (setgroups(count, groups) < 0) fail("set additional groups", "");
  free(groups);
}

void become_user(const struct spec *spec) {
  const struct operation *user = find_operation(spec, OP_USER);
  const struct operation *capabilities = find_operation(spec, OP_CAPABILITIES);
  if (user == NULL || capabilities == NULL) fail_because("become the user", "", "the list of operations names none");
  uid_t uid = (uid_t)strtoul(user->field[0], NULL, 10);
  gid_t gid = (gid_t)strtoul(user->field[1], NULL, 10);
  uint64_t set = strtoull(capabilities->field[0], NULL, 16);

  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail("set no_new_privs", "");
  drop_from_bounding_set(set);
  set_groups(spec);
  if (setresgid(gid, gid, gid) < 0) fail("become the group", user->field[1]);
  if (setresuid(uid, uid, uid) < 0) fail("become the user", user->field[0]);
  set_capabilities(uid == 0 ? owned_capabilities(set) : 0);
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  fail_because("read the seccomp program", "", "it is not hexadecimal");
}

void install_seccomp(const struct spec *spec) {
  const struct operation *operation = find_operation(spec, OP_SECCOMP);
  if (operation == NULL) return;
  const char *hex = operation->field[0];
  size_t size = strlen(hex) / 2, count = size / sizeof(struct sock_filter);
  unsigned char *bytes = allocate(size + 1, 1);
  for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
  struct sock_fprog program = {.len = (unsigned short)count, .filter = (struct sock_filter *)bytes};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0) fail("install the seccomp program", "");
  free(bytes);
}

void keep_init_capabilities(void) {
  set_capabilities(owned_capabilities(1UL << CAP_SYS_ADMIN | 1UL << CAP_KILL | 1UL << CAP_FOWNER |
                                      1UL << CAP_DAC_OVERRIDE | 1UL << CAP_DAC_READ_SEARCH));
}
