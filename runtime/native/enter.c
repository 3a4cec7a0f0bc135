/*
 * enter: runs a command as uid 0 of a new user namespace, with a mount namespace of its own.
 *
 *   enter [--uids INSIDE OUTSIDE COUNT]... [--gids INSIDE OUTSIDE COUNT]... -- COMMAND [ARGUMENT]...
 *
 * The process id stays the same: a child asks newuidmap and newgidmap, which are set-uid, for its parent.
 */
#define _GNU_SOURCE
#include "kernel.h"
#include "report.h"
#include "spec.h"
#include "verbs.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct request {
  char **uid_command, **gid_command, **command;
};

static struct request parse(int argc, char **argv, char *pid) {
  struct request request = {
      .uid_command = allocate((size_t)argc + 3, sizeof(char *)),
      .gid_command = allocate((size_t)argc + 3, sizeof(char *)),
  };
  size_t uids = 0, gids = 0;
  request.uid_command[uids++] = "newuidmap";
  request.gid_command[gids++] = "newgidmap";
  request.uid_command[uids++] = request.gid_command[gids++] = pid;
  int i = 1;
  for (; i + 3 < argc; i += 4) {
    char **into;
    if (strcmp(argv[i], "--uids") == 0) {
      into = request.uid_command + uids;
      uids += 3;
    } else if (strcmp(argv[i], "--gids") == 0) {
      into = request.gid_command + gids;
      gids += 3;
    } else {
      break;
    }
    memcpy(into, argv + i + 1, 3 * sizeof *into);
  }
  if (i + 1 >= argc || strcmp(argv[i], "--") != 0) fail_because("enter", "", "there is no command");
  request.command = argv + i + 1;
  return request;
}

/* The command prints its own reason. */
static void run_mapper(char **command) {
  pid_t pid = fork();
  if (pid < 0) fail("start a process", command[0]);
  if (pid == 0) {
    execvp(command[0], command);
    fail("run", command[0]);
  }
  int status;
  if (waitpid(pid, &status, 0) < 0) fail("wait for", command[0]);
  if (status == 0) return;
  fail_because("map the ids of", command[0], "it refused; see /etc/subuid and /etc/subgid, and whether it is set-uid");
}

/* Waits until its parent has made the namespace, fills its maps, and tells by its exit status how that went. */
static pid_t start_mapper(const struct request *request, int *go) {
  int channel[2];
  if (pipe2(channel, O_CLOEXEC) < 0) fail("make a pipe", "");
  pid_t pid = fork();
  if (pid < 0) fail("start a process", "");
  if (pid == 0) {
    char byte;
    close(channel[1]);
    if (read(channel[0], &byte, 1) != 1) _exit(EXIT_SETUP_FAILED);
    run_mapper(request->uid_command);
    run_mapper(request->gid_command);
    _exit(0);
  }
  close(channel[0]);
  *go = channel[1];
  return pid;
}

int enter_main(int argc, char **argv) {
  char pid[16];
  snprintf(pid, sizeof pid, "%d", (int)getpid());
  struct request request = parse(argc, argv, pid);
  int go, status;
  pid_t mapper = start_mapper(&request, &go);
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
    fail("create a user namespace", "");
  }
  if (write(go, "", 1) != 1) fail("start the mapper of ids", "");
  close(go);
  if (waitpid(mapper, &status, 0) < 0) fail("wait for the mapper of ids", "");
  if (status != 0) return EXIT_SETUP_FAILED;
  if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) fail("become uid 0 of the user namespace", "");
  /* What the host mounts later appears here too; what is mounted here stays here. */
  if (sys_mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) fail("make mounts private", "/");
  execv(request.command[0], request.command);
  fail("run", request.command[0]);
}
