// Work in a child process that may crash or hang without harm: it tells by lines what it does.
#ifndef GB_BASE_CHILD_H
#define GB_BASE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

typedef struct gb_child {
    pid_t pid;
    int fd;
    char buffer[4096];
    size_t used;
} gb_child;

// What a wait for the child's next line ended with.
typedef enum gb_child_event {
    GB_CHILD_LINE,    // there is one
    GB_CHILD_DONE,    // its work returned 0
    GB_CHILD_FAILED,  // its work returned something else
    GB_CHILD_CRASHED, // it died of a signal
    GB_CHILD_SILENT,  // no line in time; it still runs
    GB_CHILD_STOPPED  // `stop` said so
} gb_child_event;

// Forks; the child calls `work` with a stream for its lines and exits with what that returns. To be
// called before the process opens a device: drivers do not survive a fork.
int gb_child_start(gb_child *child, int (*work)(void *user, FILE *lines), void *user);

// Waits for a line (without its '\n'; longer ones are cut) for at most `seconds`; asks `stop`, if
// there is one, several times a second.
gb_child_event gb_child_next(gb_child *child, char *line, size_t size, double seconds,
                             bool (*stop)(void));

// Kills what still runs. Fine after any event, and for a zeroed child.
void gb_child_stop(gb_child *child);

#endif
