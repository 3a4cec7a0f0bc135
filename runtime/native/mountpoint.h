/* Places to mount on, inside the root file system that is being assembled. */
#ifndef KILN_MOUNTPOINT_H
#define KILN_MOUNTPOINT_H

#include <stdbool.h>

/*
 * Opens `path` under `root` to mount on it. What is missing is made and remembered, so that
 * remove_made_mountpoints can take it away again.
 */
int open_mountpoint(int root, const char *path, bool is_folder);

/* Things made on the file system that `fd` lies on vanish with it and need not be remembered. */
void forget_mountpoints_on(int fd);

/* Remembers a mount (by a descriptor of its root, which stays open) that lies on a mount point that was made. */
void remember_mount(int mount);

/*
 * Undoes, in reverse, what open_mountpoint made. A folder that the payload put something into stays. For the time
 * when no other process is left in the sandbox.
 */
void remove_made_mountpoints(void);

#endif
