/* The standard streams of a payload that has no terminal. */
#ifndef KILN_STREAMS_H
#define KILN_STREAMS_H

#include "spec.h"

#include <poll.h>

#define STREAM_POLLS 2

struct stream {
  int from; /* the pipe's end that is read; -1 when there is none */
  int to;   /* the socket that stood at the payload's descriptor */
};

struct streams {
  struct stream list[STREAM_POLLS];
};

/*
 * Puts a pipe in the place of each standard output that is a socket, as Node's are: nobody can open a socket by
 * /dev/stdout. The pipe belongs to the payload's user, who may open it then.
 */
struct streams streams_replace(const struct spec *spec);
/* In the process outside, once the one inside has been started: lets go of the ends that are written. */
void streams_release(const struct streams *streams);
void streams_prepare(const struct streams *streams, struct pollfd *polls);
void streams_handle(struct streams *streams, const struct pollfd *polls);
/* Passes on what is still in the pipes; all who wrote have ended. */
void streams_end(struct streams *streams);

#endif
