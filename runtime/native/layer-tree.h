/* The directory a layer is applied to: paths in it are resolved so that nothing outside is ever reached. */
#ifndef KILN_LAYER_TREE_H
#define KILN_LAYER_TREE_H

#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

/* What overlayfs calls a directory that hides those below: trusted.overlay.opaque or user.overlay.opaque. */
extern const char *opaque_xattr;

/* Makes `directory` the root for all that follows, by chroot as well where that is allowed. */
void tree_open(const char *directory);
int tree_root(void);

/*
 * Opens the directory that holds `path`, and points `name` at the last component. Symbolic links on the way are
 * followed within the root; missing directories are made, 0755 root:root. The descriptor belongs to the tree.
 */
int tree_parent(const char *path, const char **name);
/* Removes whatever is there, with all that is in it. */
void tree_remove(int parent, const char *name);
/* Makes and opens a directory, or opens the one that is there; a file in its place makes way. */
int tree_directory(int parent, const char *name);

/* Directory times are set at the end, when nothing is put into them any more. */
void tree_remember_times(int directory, struct timespec mtime);
/* Sets them, and reports each opaque directory ('O') and each that no entry described ('I'). */
void tree_finish(void);

int is_whiteout(const struct stat *stat);

/* One record on standard output: what happened (`kind`) to which path. */
void report(char kind, int error, const char *path);
/* Reports what failed, and ends the process. */
_Noreturn void fail_apply(const char *action);
/* The path as the layer has it, for messages. */
extern const char *current_path;

#endif
