// A second process that compiles what this one is about to compile, from the other end.
#include "rehearsal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// A program that the driver has kept is there within 20 ms, a small one is compiled in 200.
enum { LONG_BUILD_MS = 80 };

// Waits for a long build; ends the process if there is none until the other one ends.
static void await_work(int fd)
{
    struct pollfd end = {.fd = fd, .events = POLLIN};
    for (char building;;) {
        if (read(fd, &building, 1) != 1)
            _exit(0);
        if (building && poll(&end, 1, LONG_BUILD_MS) == 0)
            return;
    }
}

void rehearsal_start(rehearsal *r)
{
    int ends[2];
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
        return;
    fflush(NULL); // else it might be printed again
    pid_t pid = fork();
    if (pid) {
        close(ends[1]);
        if (pid < 0)
            close(ends[0]);
        else
            *r = (rehearsal){.pid = pid, .fd = ends[0]};
        return;
    }
    close(ends[0]);
    await_work(ends[1]);
    int nowhere = open("/dev/null", O_RDWR);
    if (nowhere < 0 || dup2(nowhere, STDIN_FILENO) < 0 || dup2(nowhere, STDOUT_FILENO) < 0 ||
        dup2(nowhere, STDERR_FILENO) < 0)
        _exit(1);
    *r = (rehearsal){.here = true};
}

static void tell(void *user, bool on)
{
    const rehearsal *r = user;
    const char building = on;
    // One that listens no more must not stop this process.
    send(r->fd, &building, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void rehearsal_open(const rehearsal *r, gb_device *dev)
{
    if (r->here)
        gb_device_rehearse(dev);
    else if (r->pid)
        gb_device_watch(dev, tell, (void *)r);
}

void rehearsal_end(gb_device *dev, int err)
{
    _exit(err < 0 || gb_device_finish(dev) < 0);
}

void rehearsal_finish(rehearsal *r)
{
    if (!r->pid)
        return;
    close(r->fd);
    kill(r->pid, SIGKILL);
    while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *r = (rehearsal){0};
}
