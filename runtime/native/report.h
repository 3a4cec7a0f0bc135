/* How a failing launcher tells its parent what went wrong. */
#ifndef KILN_REPORT_H
#define KILN_REPORT_H

#define EXIT_SETUP_FAILED 125
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127

/* Reports go to this descriptor; standard error until it is set. */
void report_to(int fd);
int report_descriptor(void);

/* Reports `operation` on `subject` as failed for the reason in errno, and ends the process with 125. */
_Noreturn void fail(const char *operation, const char *subject);

/* The same, with the reason in words. */
_Noreturn void fail_because(const char *operation, const char *subject, const char *reason);

/* Reports that the payload's command cannot be started, and ends the process with 127 or 126. */
_Noreturn void fail_command(const char *command, int error);

#endif
