/* Assembles the root file system that the payload will see, operation by operation. */
#ifndef KILN_MOUNTS_H
#define KILN_MOUNTS_H

#include "spec.h"

/* For the first process of a new mount namespace. Afterwards its root is the new root. */
void set_up_sandbox(const struct spec *spec);

#endif
