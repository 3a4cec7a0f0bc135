/* The program that connects the network namespace of a sandbox with the outside. */
#ifndef KILN_NETWORK_H
#define KILN_NETWORK_H

#include "spec.h"

#include <sys/types.h>

struct network_channels {
  pid_t inside; /* process in the network namespace */
  int alive;    /* hangs up when the process outside ends */
  int ready;    /* is given a byte when the network is connected */
};

/*
 * Starts the program that the operations name; its standard input is the network namespace. It is ready when it ends
 * with status 0, having gone on in the background, or when it writes to descriptor 3. What goes wrong is reported.
 * Gives the process that holds everything the program starts.
 */
pid_t start_network(const struct spec *spec, struct network_channels channels);

/* Ends that process, and with it whatever the program started. */
void end_network(pid_t holder);

#endif
