/*
 * What scan and apply share: growing buffers, and the form of extended attributes in their records: a run of
 * { u32 name length, u32 value length, name, value }. All numbers are little-endian, as is every machine we run on.
 */
#ifndef KILN_RECORD_H
#define KILN_RECORD_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
  unsigned char *bytes;
  size_t length, capacity;
};

/* Makes room for `count` more bytes and gives where they go; ends the process when memory is out. */
unsigned char *buffer_room(struct buffer *buffer, size_t count);
void buffer_add(struct buffer *buffer, const void *bytes, size_t count);
void buffer_add_u32(struct buffer *buffer, uint32_t value);
/* Writes all of it and empties it; 0 when that worked. */
int buffer_flush(struct buffer *buffer, int fd);

#endif
