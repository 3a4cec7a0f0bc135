/* The process outside a sandbox. */
#ifndef KILN_SUPERVISE_H
#define KILN_SUPERVISE_H

#include "streams.h"

#include <signal.h>
#include <sys/types.h>

struct supervised {
  pid_t pid;
  int pidfd;
  int control;  /* hangs up when the sandbox is no longer wanted */
  int terminal; /* socket that the terminal's other end comes over; -1 when there is none */
  struct streams streams;
};

/* Forwards signals and, where there is a terminal, bytes; gives the exit status once everything inside has ended. */
int supervise(struct supervised supervised);

#endif
