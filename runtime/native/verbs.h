/* The verbs of kiln-launcher. Each takes the command line from its own name on and gives the exit status. */
#ifndef KILN_VERBS_H
#define KILN_VERBS_H

int run_main(int argc, char **argv);
int enter_main(int argc, char **argv);
int scan_main(int argc, char **argv);
int apply_main(int argc, char **argv);

#endif
