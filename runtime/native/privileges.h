/* What a process gives up. */
#ifndef KILN_PRIVILEGES_H
#define KILN_PRIVILEGES_H

#include "spec.h"

/* For the payload's process, in this order: limits first, the seccomp program last. */
void set_limits(const struct spec *spec);
void become_user(const struct spec *spec);
void install_seccomp(const struct spec *spec);

/* For the first process of a sandbox: keeps what it takes to signal, to unmount, and to remove mount points. */
void keep_init_capabilities(void);

#endif
