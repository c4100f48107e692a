// A second process that compiles what this one is about to compile, from the other end.
//
// PoCL compiles kernels on one core: seconds, at the first run of a model. It keeps them for all
// processes, so two of them together take little more than half the time. The second one is forked
// early, as drivers do not survive a fork, and sleeps until a build of the first takes long, which
// says that the driver has nothing to look up. Whatever becomes of it, results are the same.
#ifndef TOOLS_REHEARSAL_H
#define TOOLS_REHEARSAL_H

#include "device/device.h"

#include <sys/types.h>

// Zeroed: there is none.
typedef struct rehearsal {
    pid_t pid;
    int fd;
    bool here; // this is the second process
} rehearsal;

// Before anything of OpenCL. Returns in the second process, too, when there is work for it: it goes
// the same way, silently, to its first session, runs that once, and ends there.
void rehearsal_start(rehearsal *r);
// In both: the device has been opened.
void rehearsal_open(const rehearsal *r, gb_device *dev);
void rehearsal_finish(rehearsal *r); // in the first process: nothing is left of the second
// In the second one: waits for the device where nothing failed, and ends.
_Noreturn void rehearsal_end(gb_device *dev, int err);

#endif
