#define _GNU_SOURCE
#include "overlay.h"
#include "kernel.h"
#include "report.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* mount(2) copies at most a page of options. */
#define MAX_OPTION_BYTES 4096

/* Open folders, to be closed when the overlay holds them itself. */
static int *folders;
static size_t folder_count;

/*
 * Folders are given to the kernel as numbers, relative to /proc/self/fd: one string of fsconfig(2) may be 255 bytes
 * long, and all options of mount(2) a page, while paths of a store may be of any length. The mount table then shows no
 * path of the host either.
 */
static void open_as_number(const char *folder, char number[12]) {
  int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail("open a layer", folder);
  folders[folder_count++] = fd;
  snprintf(number, 12, "%d", fd);
}

/* What the kernel has to say about the last failure, else the error's own words. */
static const char *kernel_reason(int context) {
  static char message[512];
  int error = errno;
  ssize_t length = read(context, message, sizeof message - 1);
  if (length <= 0) return strerror(error);
  message[length] = '\0';
  /* Messages begin with a letter for their severity: "e overlay: ..." */
  return length > 2 && message[1] == ' ' ? message + 2 : message;
}

static void set_string(int context, const char *key, const char *value, const char *subject) {
  if (sys_fsconfig(context, FSCONFIG_SET_STRING, key, value) < 0) {
    fail_because("mount the overlay", subject, kernel_reason(context));
  }
}

static void set_option(int context, const struct operation *operation) {
  const char *key = operation->field[0], *value = operation->field[1];
  unsigned command = value[0] == '\0' ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
  if (sys_fsconfig(context, command, key, value[0] == '\0' ? NULL : value) == 0) return;
  /* A kernel that does not know an option does not have what the option would switch off. */
  if (errno == EINVAL && strcmp(operation->field[2], "optional") == 0) return;
  fail_because("mount the overlay", key, kernel_reason(context));
}

/* False when the kernel is older than 6.5 and cannot take layers one by one. The topmost layer is given first. */
static bool set_layers(int context, const struct spec *spec) {
  bool is_first = true;
  for (size_t i = spec->count; i-- > 0;) {
    if (spec->operations[i].kind != OP_LAYER) continue;
    char number[12];
    open_as_number(spec->operations[i].field[0], number);
    if (sys_fsconfig(context, FSCONFIG_SET_STRING, "lowerdir+", number) < 0) {
      if (is_first && errno == EINVAL) return false;
      fail_because("mount the overlay", spec->operations[i].field[0], kernel_reason(context));
    }
    is_first = false;
  }
  return true;
}

static bool mount_by_context(const struct spec *spec, const char *place) {
  int context = sys_fsopen("overlay");
  if (context < 0) fail("mount the overlay", place);
  set_string(context, "source", "overlay", place);
  if (!set_layers(context, spec)) {
    close(context);
    return false;
  }
  const struct operation *upper = find_operation(spec, OP_UPPER);
  if (upper != NULL) {
    char number[12];
    open_as_number(upper->field[0], number);
    set_string(context, "upperdir", number, upper->field[0]);
    open_as_number(upper->field[1], number);
    set_string(context, "workdir", number, upper->field[1]);
  }
  for (size_t i = 0; i < spec->count; i++) {
    if (spec->operations[i].kind == OP_OVERLAY_OPTION) set_option(context, &spec->operations[i]);
  }
  if (sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL) < 0) {
    fail_because("mount the overlay", place, kernel_reason(context));
  }
  int mount = sys_fsmount(context, MOUNT_ATTR_NODEV);
  if (mount < 0) fail("mount the overlay", place);
  int onto = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (onto < 0 || sys_move_mount(mount, onto) < 0) fail("mount the overlay", place);
  close(onto);
  close(mount);
  close(context);
  return true;
}

static void append(char options[MAX_OPTION_BYTES], const char *separator, const char *key, const char *value) {
  size_t used = strlen(options);
  const char *comma = used == 0 ? "" : separator;
  int needed = snprintf(options + used, MAX_OPTION_BYTES - used, "%s%s%s", comma, key, value);
  if (needed < 0 || used + (size_t)needed >= MAX_OPTION_BYTES) {
    fail_because("mount the overlay", "", "more layers than this kernel takes at once (Linux 6.5 takes more)");
  }
}

static void mount_by_options(const struct spec *spec, const char *place) {
  char options[MAX_OPTION_BYTES] = "", number[12];
  for (size_t i = spec->count; i-- > 0;) {
    if (spec->operations[i].kind != OP_LAYER) continue;
    open_as_number(spec->operations[i].field[0], number);
    append(options, ":", options[0] == '\0' ? "lowerdir=" : "", number);
  }
  const struct operation *upper = find_operation(spec, OP_UPPER);
  if (upper != NULL) {
    open_as_number(upper->field[0], number);
    append(options, ",", "upperdir=", number);
    open_as_number(upper->field[1], number);
    append(options, ",", "workdir=", number);
  }
  for (size_t i = 0; i < spec->count; i++) {
    if (spec->operations[i].kind != OP_OVERLAY_OPTION) continue;
    const char *value = spec->operations[i].field[1];
    append(options, ",", spec->operations[i].field[0], value[0] == '\0' ? "" : "=");
    if (value[0] != '\0') append(options, "", value, "");
  }
  if (sys_mount("overlay", place, "overlay", MS_NODEV, options) < 0) fail("mount the overlay", place);
}

void mount_overlay(const struct spec *spec, const char *place) {
  /* Each of the list's operations opens one, but the upper, which opens two; a failed first attempt opens one more. */
  folders = allocate(spec->count + 2, sizeof *folders);
  if (chdir("/proc/self/fd") < 0) fail("enter", "/proc/self/fd");
  bool is_old = find_operation(spec, OP_OLD_MOUNT_API) != NULL;
  if (is_old || !mount_by_context(spec, place)) mount_by_options(spec, place);
  if (chdir("/") < 0) fail("enter", "/");
  while (folder_count > 0) close(folders[--folder_count]);
  free(folders);
}
