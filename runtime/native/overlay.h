/* The root file system: an overlay of layers. */
#ifndef KILN_OVERLAY_H
#define KILN_OVERLAY_H

#include "spec.h"

/* Mounts the overlay that the operations of the list (a part of a whole one) describe on the folder `place`, without
 * device files. */
void mount_overlay(const struct spec *spec, const char *place);

#endif
