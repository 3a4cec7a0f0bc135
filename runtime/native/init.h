/* The first process of a sandbox. */
#ifndef KILN_INIT_H
#define KILN_INIT_H

#include "spec.h"

struct init_channels {
  int alive;    /* hangs up when the process outside ends */
  int terminal; /* socket to send the terminal's other end over; -1 when none is wanted */
  int network;  /* gives a byte once the network is connected, hangs up when it cannot be; -1 when there is none */
};

/* Sets the sandbox up, runs the payload, forwards signals to it, reaps, and exits with its status. */
_Noreturn void run_init(const struct spec *spec, struct init_channels channels);

#endif
