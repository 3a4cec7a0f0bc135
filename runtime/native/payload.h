/* The command that a sandbox is for. */
#ifndef KILN_PAYLOAD_H
#define KILN_PAYLOAD_H

#include "spec.h"

/* Turns this process into the payload. `terminal` is the descriptor of its terminal, or -1. */
_Noreturn void become_payload(const struct spec *spec, int terminal);

#endif
