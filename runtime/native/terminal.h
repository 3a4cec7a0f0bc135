/* A pseudo-terminal of the sandbox, and its connection to the terminal outside. */
#ifndef KILN_TERMINAL_H
#define KILN_TERMINAL_H

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>

/* Inside: makes a terminal that `owner` may use, sends its other end over `socket`, and gives the payload's end. */
int make_terminal(int socket, uid_t owner);

/* Inside: makes it the controlling terminal and the standard streams of this process, which leads a session. */
void use_terminal(int terminal);

/* Outside: carries bytes between the standard streams and the terminal that comes over `socket`. */
struct relay {
  int socket;
  int other_end;
  bool input_open;
  bool is_raw;
  struct termios before;
  char input[4096];
  size_t input_length;
};

#define RELAY_POLLS 3

void relay_start(struct relay *relay, int socket);
void relay_prepare(const struct relay *relay, struct pollfd polls[RELAY_POLLS]);
void relay_handle(struct relay *relay, const struct pollfd polls[RELAY_POLLS]);
void relay_resize(const struct relay *relay);
/* Carries what is left, and puts the terminal outside back to how it was. */
void relay_end(struct relay *relay);

#endif
