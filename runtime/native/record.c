#include "record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

unsigned char *buffer_room(struct buffer *buffer, size_t count) {
  if (buffer->length + count > buffer->capacity) {
    size_t capacity = buffer->capacity ? buffer->capacity : 4096;
    while (capacity < buffer->length + count) capacity *= 2;
    buffer->bytes = realloc(buffer->bytes, capacity);
    if (!buffer->bytes) {
      fprintf(stderr, "out of memory\n");
      exit(1);
    }
    buffer->capacity = capacity;
  }
  return buffer->bytes + buffer->length;
}

void buffer_add(struct buffer *buffer, const void *bytes, size_t count) {
  memcpy(buffer_room(buffer, count), bytes, count);
  buffer->length += count;
}

void buffer_add_u32(struct buffer *buffer, uint32_t value) { buffer_add(buffer, &value, sizeof value); }

int buffer_flush(struct buffer *buffer, int fd) {
  for (size_t done = 0; done < buffer->length;) {
    ssize_t count = write(fd, buffer->bytes + done, buffer->length - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    done += (size_t)count;
  }
  buffer->length = 0;
  return 0;
}
