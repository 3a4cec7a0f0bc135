/* For a test: sends one request without content to the agent of SSH_AUTH_SOCK, and prints the type of the answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *path = getenv("SSH_AUTH_SOCK");
  if (argc != 2 || path == NULL || strlen(path) >= sizeof address.sun_path) return 2;
  strcpy(address.sun_path, path);
  int agent = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(agent, (struct sockaddr *)&address, sizeof address) < 0) return 3;
  unsigned char request[5] = {0, 0, 0, 1, (unsigned char)atoi(argv[1])}, answer[5];
  if (write(agent, request, sizeof request) != sizeof request) return 4;
  if (recv(agent, answer, sizeof answer, MSG_WAITALL) != sizeof answer) return 5;
  printf("%d\n", answer[4]);
  return 0;
}
