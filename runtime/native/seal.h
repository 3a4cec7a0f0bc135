/* Keeps the launcher's own file out of a sandbox's reach. */
#ifndef KILN_SEAL_H
#define KILN_SEAL_H

/*
 * Starts this program again with the same verb, followed by "sealed", from a read-only mount that nothing can reach;
 * returns when that was done. A payload whose
 * interpreter is /proc/self/exe is a copy of this process, and could otherwise write to the file: CVE-2019-5736.
 */
void run_sealed(int argc, char **argv);

#endif
